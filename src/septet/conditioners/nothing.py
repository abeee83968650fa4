"""Models without prompts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contracts import Conditioner, Context, Prompt
from ..space import Refusal


class Nothing(Conditioner):
    """Unconditional: takes no prompt."""

    @classmethod
    def tiny(cls) -> "Nothing":
        return cls()

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        for prompt in prompts:
            if prompt:
                raise Refusal(f"prompt {prompt!r}: this model was trained without prompts; leave it out")
        return torch.zeros(len(prompts), 0, dtype=torch.int64)

    def forward(self, symbols_BM: Tensor) -> Context:
        return Context()
