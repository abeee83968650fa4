"""Labels and named attributes as prompts.

Shapes: B batch, M attributes, D width.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..contracts import Conditioner, Context, Prompt
from ..space import Refusal


class Attributes(Conditioner):
    """Named attributes, each with a fixed set of values, encoded as the sum of one embedding per attribute.

    A prompt is a dict of strings or "name=value, name=value"; if there is one attribute only, also its bare value. In
    the prepared tensor, 0 stands for an attribute that is not given.
    """

    def __init__(self, width: int, values: dict[str, list[str]]):
        super().__init__()
        if not values or not all(values.values()):
            raise Refusal(f"attributes {values!r}: give at least one attribute, each with at least one value")
        self.values = values
        tables = [nn.Embedding(len(v) + 1, width) for v in values.values()]
        for table in tables:
            nn.init.normal_(table.weight, std=0.5)
        self.tables = nn.ModuleList(tables)

    @classmethod
    def tiny(cls) -> "Attributes":
        return cls(32, {"colour": ["red", "blue"], "size": ["small", "large"]})

    @classmethod
    def learned(cls, width: int, prompts: Iterable[Prompt]) -> "Attributes":
        """Collects the attributes and values that occur in `prompts`; a plain string is a value of "label"."""
        values: dict[str, set[str]] = {}
        for prompt in prompts:
            for name, value in ({"label": prompt} if isinstance(prompt, str) else prompt or {}).items():
                values.setdefault(name, set()).add(value)
        return cls(width, {name: sorted(v, key=_natural) for name, v in values.items()})

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        return torch.tensor([self._row(self.parsed(prompt)) for prompt in prompts], dtype=torch.int64)

    def examples(self) -> list[Prompt]:
        if list(self.values) == ["label"]:
            return list(self.values["label"])
        most = max(map(len, self.values.values()))
        return [{name: values[k % len(values)] for name, values in self.values.items()} for k in range(most)]

    def parsed(self, prompt: Prompt) -> dict[str, str]:
        """Parses a prompt to values by attribute."""
        if not prompt or isinstance(prompt, Mapping):
            return dict(prompt or {})
        if len(self.values) == 1 and "=" not in prompt:
            return {next(iter(self.values)): prompt}
        pairs = [pair.partition("=") for pair in prompt.split(",")]
        return {name.strip(): value.strip() for name, _, value in pairs}

    def _row(self, chosen: dict[str, str]) -> list[int]:
        for name, value in chosen.items():
            if name not in self.values:
                raise Refusal(f"attribute {name!r}: expected one of {', '.join(self.values)}")
            if value not in self.values[name]:
                raise Refusal(f"{name}={value!r}: expected one of {', '.join(self.values[name][:20])}")
        return [self.values[n].index(chosen[n]) + 1 if n in chosen else 0 for n in self.values]

    def forward(self, symbols_BM: Tensor) -> Context:
        vector = torch.stack([t(symbols_BM[:, i]) for i, t in enumerate(self.tables)]).sum(0)
        return Context(vector_BD=vector, symbols_BM=symbols_BM)


def _natural(value: str) -> tuple[int, str]:
    return (int(value) if value.isdigit() else -1, value)


def Labels(width: int, labels: Sequence[str]) -> Attributes:
    """Class labels: Attributes with the single attribute "label"."""
    return Attributes(width, {"label": list(labels)})
