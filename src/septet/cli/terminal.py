"""All output of the command line, with characters removed that would control the terminal."""

import re
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from .. import ranks

if TYPE_CHECKING:
    from rich.progress import Progress

# C0 and C1 controls except tab and newline, other line and paragraph separators, bidirectional controls (Boucher and
# Anderson 2023), and surrogates, which cannot be encoded.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
UNSEEN = "\ufffd"


def visible(text: str) -> str:
    """A text with characters that control a terminal replaced; tabs and newlines stay."""
    return STEERING.sub(UNSEEN, text.replace("\r\n", "\n"))


def tell(text: object = "", end: str = "\n", error: bool = False, rank: int = 0) -> None:
    """Writes to standard output or standard error and flushes; what the stream cannot encode becomes a question mark.
    In data-parallel training, only `rank` writes."""
    if rank != ranks.rank():
        return
    stream = sys.stderr if error else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(visible(str(text)).encode(encoding, "replace").decode(encoding), end=end, file=stream, flush=True)


def live(*columns: Any, transient: bool = True) -> "Progress":
    """A progress bar on standard error; hidden if that is not a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not (ranks.first() and sys.stderr.isatty()), transient=transient)


def cost(began: float) -> str:
    """Time, memory and estimated energy of the command, in words. Assumes that all ranks use as much as this one."""
    from ..fitting.pace import WATTS_A_THREAD, peak_memory_bytes

    peak = peak_memory_bytes() / 2**30 * ranks.world()
    energy = time.process_time() * ranks.world() * WATTS_A_THREAD / 3600
    return (
        f"{time.time() - began:.1f} s, {peak:,.1f} GB of memory, {energy:.2g} Wh (estimate: {WATTS_A_THREAD} W a core)"
    )


def say(sentence: str, *following: object) -> None:
    """Prints a sentence, and the command to try next."""
    tell(sentence)
    if following:
        tell(f"Next: septet {shlex.join(map(str, following))}")
