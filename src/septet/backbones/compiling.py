"""Checks of compiled functions: a compiler can silently produce wrong code for a processor (see
docs/decisions/013-compiled-code-is-checked.md). Each graph is run compiled and uncompiled on the inputs that it was
compiled for, and its outputs, its gradients and the inputs that it modifies are compared."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOLERANCE = 0.05  # relative to a tensor's norm; bf16 rounding in another order gives at most 0.01
SMALLEST = 1 / 30  # of the largest norm: lower bound on the norm in the tolerance, since small tensors may be rounding
NARROW = {"cpp.simdlen": 256}  # bits of vector registers
DROPOUT = {"fallback_random": True}  # makes compiled code use the same random numbers as uncompiled code
DEVIATION = 0.05  # standard deviation of the random numbers that replace tensors of zeros

Compiler = Callable[..., Callable[..., Any]]


def log(sentence: str) -> None:
    logging.getLogger("septet").warning(sentence)


def inductor(graph: nn.Module, inputs: Sequence[Any], config_patches: dict[str, Any]) -> Callable[..., Any]:
    """Compiles with torch's default backend, forward and backward immediately."""
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx  # seconds to import

    with config.patch(force_non_lazy_backward_lowering=True):
        return compile_fx(graph, inputs, config_patches=config_patches)  # pyright: ignore


class Checked:
    """A backend for torch.compile. If compiled code gives wrong results, this and all later graphs are compiled with
    256-bit vectors; a graph that still gives wrong results, or that cannot be compiled, runs uncompiled. `tell` is
    called with a message the first time that each of these happens."""

    def __init__(
        self, tell: Callable[[str], None] = log, options: dict[str, Any] | None = None, compiler: Compiler = inductor
    ):
        self.tell, self.options, self.compiler = tell, options or {}, compiler
        self.vectors: list[dict[str, Any]] = [{}, NARROW]
        self.told: set[str] = set()

    def __call__(self, graph: nn.Module, inputs: Sequence[Any]) -> Callable[..., Any]:
        given, dropout = [hint(value) for value in inputs], has_dropout(graph)
        options, expected = self.options | (DROPOUT if dropout else {}), None
        for vectors in list(self.vectors):
            try:
                function = self.compiler(graph, inputs, config_patches=options | vectors)
                expected = expected or outcome(graph.forward, given, dropout)
                if agree(outcome(function, given, dropout), expected):
                    return function
            except Exception as error:  # a C++ compiler is missing, or fails in many ways
                first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                return self._uncompiled(graph, f"Compiling failed ({first})")
            if not vectors:
                self.vectors.remove(vectors)
                self._tell("Compiled code gave wrong results on this processor: compiled again with 256-bit vectors.")
        return self._uncompiled(graph, "Code compiled with 256-bit vectors gave wrong results on this processor")

    def _uncompiled(self, graph: nn.Module, reason: str) -> Callable[..., Any]:
        self._tell(f"{reason}: not compiled, which is slower.")
        return graph.forward

    def _tell(self, sentence: str) -> None:
        if sentence not in self.told:
            self.told.add(sentence)
            self.tell(sentence)


class Outcome(NamedTuple):
    """The results of a function and the gradients of a fixed random weighted sum of them, its inputs after the call,
    and the indices of inputs that it modified."""

    results: list[Tensor]
    inputs: list[Any]
    written: list[int]


def hint(value: Any) -> Any:
    """The current value of a symbolic size; other values are returned unchanged."""
    return value.node.hint if isinstance(value, torch.SymInt | torch.SymFloat) else value


def has_dropout(graph: nn.Module) -> bool:
    return isinstance(graph, torch.fx.GraphModule) and any(node.target is F.dropout for node in graph.graph.nodes)


def outcome(function: Callable[..., Any], inputs: Sequence[Any], dropout: bool = False) -> Outcome:
    """Runs `function` on copies of `inputs`. With `dropout`, torch's random generator is seeded, and restored after."""
    stream = torch.Generator().manual_seed(0)
    copies = [copied(value, stream) if isinstance(value, Tensor) else value for value in inputs]
    versions = [copy._version if isinstance(copy, Tensor) else 0 for copy in copies]
    with torch.random.fork_rng(devices=[]) if dropout else nullcontext():
        if dropout:
            torch.manual_seed(0)
        found = function(*copies)
    outputs = [value for value in (found if isinstance(found, tuple | list) else [found]) if isinstance(value, Tensor)]
    written = [n for n, copy in enumerate(copies) if isinstance(copy, Tensor) and copy._version > versions[n]]
    leaves = [copy for copy in copies if isinstance(copy, Tensor) and copy.requires_grad]
    summed = [value for value in outputs if value.requires_grad]
    weights = [torch.randn(value.shape, generator=stream).to(value) for value in summed]
    gradients = torch.autograd.grad(summed, leaves, weights, allow_unused=True) if summed and leaves else ()
    return Outcome([value.detach() for value in (*outputs, *gradients) if value is not None], copies, written)


def copied(tensor: Tensor, stream: torch.Generator) -> Tensor:
    """A copy with the same strides, on which compiled code relies. Tensors of zeros (initial weights, empty caches) are
    replaced by random numbers, since zeros would hide errors."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    memory = tensor.detach().as_strided((span if tensor.numel() else 0,), (1,)).clone()
    if memory.is_floating_point() and not tensor.any():
        memory.copy_(DEVIATION * torch.randn(memory.shape, generator=stream))
    return memory.as_strided(tensor.shape, tensor.stride()).requires_grad_(tensor.requires_grad)


def agree(found: Outcome, expected: Outcome) -> bool:
    """Whether all tensors are equal to within TOLERANCE, and finite at the same positions."""
    pairs = [
        *zip(found.results, expected.results, strict=False),
        *((found.inputs[n], expected.inputs[n]) for n in expected.written),
    ]
    finite = [other.isfinite() for _, other in pairs]
    norms = [_norm(other, where) for (_, other), where in zip(pairs, finite, strict=True)]
    least = SMALLEST * max(norms, default=0.0)
    return len(found.results) == len(expected.results) and all(
        value.shape == other.shape
        and bool((value.isfinite() == where).all())
        and _norm(value.double() - other.double(), where) <= TOLERANCE * max(norm, least)
        for (value, other), where, norm in zip(pairs, finite, norms, strict=True)
    )


def _norm(value: Tensor, where: Tensor) -> float:
    return float(value.detach().double()[where].norm())
