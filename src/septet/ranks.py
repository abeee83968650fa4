"""Ranks: the processes that torchrun starts on this machine to train one model together.

Every rank trains the same weights on batches of its own; gradients are summed. What the ranks could see differently (a
clock, a loss) is agreed here, by all of them at the same place of the program. The first rank alone writes and speaks.
A single process is the only rank there is: nothing here costs it anything, and torch.distributed is not loaded.
"""

import atexit
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

PATIENCE = timedelta(days=1)  # of a rank that waits for the others; torchrun ends all when one ends
GRACE_SECONDS = 10.0  # in which the first rank says why all ended, and torchrun ends the others


def world() -> int:
    """How many ranks there are, as torchrun says it in the environment."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def rank() -> int:
    """Which of them this process is, from 0."""
    return int(os.environ["RANK"]) if world() > 1 else 0


def first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def join(device: "torch.device") -> None:
    """Meet the other ranks, once: over NCCL for what lies on GPUs, over gloo for the rest."""
    if world() == 1:
        return
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        return
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world()))
    if here != world():
        from .space import Refusal

        raise Refusal(f"{here} of {world()} ranks run on this machine: start all of them on one machine")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    atexit.register(dist.destroy_process_group)


def refuse_more_than(batches: int | None) -> None:
    """Each rank needs a batch of its own, of so many an epoch; None where they never end."""
    if batches is not None and world() > max(1, batches):
        from .space import Refusal

        raise Refusal(f"{world()} ranks, but only {batches} full batches of data: lower batch=, or start fewer ranks")


def added(numbers: Sequence[float]) -> list[float]:
    """The sums of the numbers that each rank brings, at least one; they also wait for each other here."""
    if world() == 1:
        return list(numbers)
    import torch

    sums = torch.tensor(numbers, dtype=torch.float64)
    _all_reduce(sums)
    return sums.tolist()


def _all_reduce(tensor: "Tensor") -> None:
    import torch.distributed as dist

    try:
        dist.all_reduce(tensor)
    except RuntimeError as error:  # the connection closed
        from .space import Refusal

        raise Refusal("another rank ended, and this one with it; go on with --resume") from error


def agreed(number: float) -> float:
    """The first rank's number."""
    return added([number if first() else 0.0])[0]


def every(condition: bool) -> bool:
    """Whether the condition holds on every rank."""
    return not added([not condition])[0]


def same(text: str) -> bool:
    """Whether all ranks have this text."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])  # 48 bits, which a float holds
    return every(agreed(number) == number)


def mean(figures: "dict[str, Tensor]") -> dict[str, float]:
    """The means over all ranks of figures that have the same names on each."""
    sums = added([float(value.detach()) for value in figures.values()])
    return {name: value / world() for name, value in zip(figures, sums, strict=True)}


@contextmanager
def one_before_the_others() -> Iterator[None]:
    """A block that the first rank leaves before the others enter it: it may put files in order that all read."""
    if not first():
        added([0.0])
    yield
    if first():
        added([0.0])


def sum_gradients(parameters: "Sequence[nn.Parameter]") -> None:
    """Every rank has the sum of all ranks' gradients; None where no rank has one."""
    if world() == 1:
        return
    import torch

    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    used = torch.tensor([float(p.grad is not None) for p in parameters]).to(parameters[0].device)
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), used])
    _all_reduce(flat)
    *sums, used = flat.split([*(p.numel() for p in parameters), len(parameters)])
    for p, total, count in zip(parameters, sums, used.tolist(), strict=True):
        p.grad = total.view_as(p).to(p.dtype) if count else None


def average(tensors: "Iterable[Tensor]") -> None:
    """Every rank has the mean of all ranks' tensors."""
    if world() > 1:
        for tensor in tensors:
            _all_reduce(tensor)
            tensor /= world()


def give_weights(module: "nn.Module") -> None:
    """Every rank has the first rank's weights and buffers."""
    if world() == 1:
        return
    import torch.distributed as dist

    for value in module.state_dict().values():
        sent = value.contiguous()
        dist.broadcast(sent, 0)
        value.copy_(sent)


def let_the_first_speak() -> None:
    """Before a rank says why it ends: the first says the same, and torchrun then ends this one. It goes on only where
    it alone has something to say."""
    if not first():
        time.sleep(GRACE_SECONDS)
