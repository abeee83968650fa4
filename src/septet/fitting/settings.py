"""How to train: the settings of the training loop."""

from dataclasses import dataclass

from ..space import Refusal


@dataclass(frozen=True)
class Settings:
    """Settings of `fit`. `rate` is the learning rate of Muon, `rate * share` that of AdamW; with optimiser="adamw",
    `rate` is AdamW's, for all parameters. `warmup` and `decay` are fractions of the stage. `precision`: "bf16"
    autocast, "fp32", or "auto" for the faster one on this device. `best`: keep the weights with the lowest validation
    loss, not the last. `early`: stop early if the validation loss only rises. `average`: EMA decay of the weights."""

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
