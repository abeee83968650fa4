"""How to train: the settings of the training loop."""

from dataclasses import dataclass

from ..space import Refusal


@dataclass(frozen=True)
class Settings:
    """How to train. `rate` is Muon's (AdamW goes at `share` of it); with optimiser="adamw" it is AdamW's for all.
    `warmup` and `decay` are shares of the stage's progress. `precision`: "bf16" autocast, "fp32", or "auto" for the one
    in which this device takes less time. Without `best`, the last weights are kept even where validation loss rose.
    With `early`, training ends where it only rises, before the pace does."""

    rate: float = 0.02
    share: float = 0.25
    optimiser: str = "muon"
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = 1.0
    accumulate: int = 1
    average: float = 0.99
    warmup: float = 0.02
    decay: float = 0.6
    precision: str = "auto"
    compile: bool = False
    best: bool = True
    early: bool = False
    validations: int = 20
    validation_batches: int = 16

    def __post_init__(self):
        for name, allowed in (("optimiser", ("muon", "adamw")), ("precision", ("auto", "bf16", "fp32"))):
            if (value := getattr(self, name)) not in allowed:
                raise Refusal(f"{name}={value!r}: expected {' or '.join(map(repr, allowed))}")
        if self.accumulate < 1:
            raise Refusal(f"accumulate={self.accumulate}: expected at least 1")
