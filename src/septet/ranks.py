"""Data-parallel training on one machine: the ranks that torchrun starts train one model together.

Every rank holds the same weights and trains on its own batches; gradients are summed. Whatever could differ between
ranks (a clock, a loss) is agreed on here, by all ranks at the same point of the program. Only rank 0 writes files and
messages. In a single process all of this is a no-op, and torch.distributed is not used.
"""

import atexit
import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TIMEOUT = timedelta(days=1)  # of a rank that waits for the others; torchrun stops all ranks when one exits
GRACE_SECONDS = 10.0  # for rank 0 to print why all ranks exit, and for torchrun to stop the others


def world() -> int:
    """The number of ranks, from torchrun's environment variables; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def rank() -> int:
    """The rank of this process, from 0."""
    return int(os.environ["RANK"]) if world() > 1 else 0


def first() -> bool:
    """Whether this is rank 0, which writes files and messages."""
    return rank() == 0


def join(device: "torch.device") -> None:
    """Join the process group if there are several ranks: NCCL for tensors on GPUs, gloo for all others."""
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
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    atexit.register(dist.destroy_process_group)


def leave(code: int) -> None:
    """Ends this process, if it is one of several ranks, without tearing down its libraries: gloo's threads (torch 2.13)
    now and then abort a process that ends as usual."""
    if world() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def refuse_more_than(batches: int | None) -> None:
    """Raises Refusal if there are more ranks than batches per epoch; None if batches never run out."""
    if batches is not None and world() > max(1, batches):
        from .space import Refusal

        raise Refusal(f"{world()} ranks, but {batches} full batches of data: lower batch=, or start fewer ranks")


def summed(numbers: Sequence[float]) -> list[float]:
    """The sum over all ranks of each number. Also a barrier."""
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
    except RuntimeError as error:  # the connection was closed
        from .space import Refusal

        raise Refusal("another rank exited, so training stopped; continue with --resume") from error


def agreed(number: float) -> float:
    """Rank 0's number, on every rank."""
    return summed([number if first() else 0.0])[0]


def every(condition: bool) -> bool:
    """Whether the condition holds on every rank."""
    return not summed([not condition])[0]


def same(text: str) -> bool:
    """Whether the text is the same on every rank."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])  # 48 bits: exact in a float
    return every(agreed(number) == number)


def mean(figures: "dict[str, Tensor]") -> dict[str, float]:
    """The mean over all ranks of each figure. Every rank must give the same names."""
    sums = summed([float(value.detach()) for value in figures.values()])
    return {name: value / world() for name, value in zip(figures, sums, strict=True)}


@contextmanager
def rank_0_before_others() -> Iterator[None]:
    """A block that rank 0 leaves before the others enter it, so that it can change files that all of them read."""
    if not first():
        summed([0.0])
    yield
    if first():
        summed([0.0])


def sum_gradients(parameters: "Sequence[nn.Parameter]") -> None:
    """Replace each gradient by its sum over all ranks; a gradient that is None on every rank stays None."""
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
    """Replace each tensor by its mean over all ranks."""
    if world() > 1:
        for tensor in tensors:
            _all_reduce(tensor)
            tensor /= world()


def broadcast_weights(module: "nn.Module") -> None:
    """Copy rank 0's state dict to every rank."""
    if world() == 1:
        return
    import torch.distributed as dist

    for value in module.state_dict().values():
        sent = value.contiguous()
        dist.broadcast(sent, 0)
        value.copy_(sent)


def wait_for_rank_0() -> None:
    """Call before printing why this rank exits: usually rank 0 prints the same, and torchrun stops this rank while it
    waits. It returns only if rank 0 did not fail."""
    if not first():
        time.sleep(GRACE_SECONDS)
