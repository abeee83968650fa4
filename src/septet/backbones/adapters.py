"""Low-rank adapters (LoRA, Hu et al. 2021), which fine-tune a model by adding a product of two small matrices to frozen
weights."""

from torch import Tensor, nn

from ..space import Refusal
from .transformer import Block, Transformer

TARGETS = ("attention.query", "attention.key", "attention.value", "attention.out", "mlp.gate", "mlp.up", "mlp.down")


class LowRank(nn.Module):
    """The frozen layer `inner` plus up(down(dropout(x))) times alpha / rank. `up` is initialised to zero, so that the
    output is unchanged at first."""

    def __init__(self, inner: nn.Linear, rank: int, alpha: float, dropout: float = 0.0):
        super().__init__()
        self.inner, self.scale, self.dropout = inner, alpha / rank, nn.Dropout(dropout)
        self.down = nn.Linear(inner.in_features, rank, bias=False)
        self.up = nn.Linear(rank, inner.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)

    @property
    def weight(self) -> Tensor:
        """The merged matrix."""
        return self.inner.weight + self.scale * (self.up.weight @ self.down.weight)

    @property
    def bias(self) -> Tensor | None:
        return self.inner.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + self.scale * self.up(self.down(self.dropout(x)))


def attach(
    model: nn.Module,
    backbone: Transformer,
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    targets: tuple[str, ...] = TARGETS,
) -> None:
    """Adds adapters to the `targets` of every block. All existing parameters of `model` are frozen and removed from its
    state dict, since they are stored with the base model."""
    width = min(backbone.width, 4096)
    if not 1 <= rank <= width:
        raise Refusal(f"rank={rank}: expected 1 to {width}, the width of the model")
    if not 0 <= dropout < 1:
        raise Refusal(f"dropout={dropout}: expected 0 to less than 1")
    if not targets or set(targets) - set(TARGETS):
        raise Refusal(f"targets={','.join(targets)}: expected some of {', '.join(TARGETS)}")
    freeze(model)
    for block in backbone.blocks:
        assert isinstance(block, Block)
        for target in targets:
            home, name = target.split(".")
            inner = getattr(block.get_submodule(home), name)
            setattr(block.get_submodule(home), name, LowRank(inner, rank, alpha, dropout))


def freeze(model: nn.Module) -> None:
    """Turns every parameter into a non-persistent buffer; tied ones stay tied."""
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                del module._parameters[name]
                module.register_buffer(name, parameter.data, persistent=False)


def attached(model: nn.Module) -> dict[str, LowRank]:
    """All adapters in a model, by their paths."""
    return {name: part for name, part in model.named_modules() if isinstance(part, LowRank)}
