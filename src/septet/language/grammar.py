"""Schemas and regular expressions as grammars, by llguidance, whose own limits leave gaps: a small schema can take
minutes and gigabytes, or more stack than there is, which would end this process.

So whatever a stranger sends is built in a process of its own first, that may take little memory and time; only what
passes is built here. This file is that process, too, and imports nothing of septet then.
"""

import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

SECONDS, STACK_BYTES = 2, 1 << 20  # a large schema takes a tenth; threads have more stack
MEMORY_BYTES = 64 << 20  # beside what Python and the library take; a large schema takes less than half
PATIENCE_SECONDS = 60  # a busy machine takes longer than the processor does
TOO_MUCH = f"it takes over {SECONDS} seconds or {MEMORY_BYTES >> 20} MB to prepare; simplify it"
REFUSED = 3  # the exit code where the library itself says what is wrong
TRYING = threading.Lock()  # one at a time: who sends many takes no more than one core from the rest


@lru_cache(maxsize=64)
def check(kind: str, text: str) -> None:
    """Refuses a "schema" or a "regex" that no grammar can be made of; what passes is remembered."""
    from ..space import Refusal

    command, given = [sys.executable, "-P", __file__, kind], text.encode(errors="replace")
    try:
        with TRYING:
            run = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Refusal(f"the schema or pattern was not prepared after {PATIENCE_SECONDS} seconds: simplify it") from None
    if run.returncode:
        told = run.stdout.decode(errors="replace")[:200] if run.returncode == REFUSED else TOO_MUCH
        raise Refusal(f"the schema or pattern cannot be kept to: {told}")


def written(kind: str, text: str) -> str:
    """The grammar in the library's own form; a ValueError where the text is no JSON."""
    from llguidance import LLMatcher

    return LLMatcher.grammar_from_regex(text) if kind == "regex" else LLMatcher.grammar_from_json_schema(text)


def _limit() -> None:
    """Little memory, stack and time from here on; where the system knows such limits."""
    try:
        import resource
    except ImportError:  # Windows has none; time is limited there by the parent
        return
    try:  # programs and locales take an address space that differs by system
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        pages = 0
    for which, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES + pages * resource.getpagesize()),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (most, most))


def _main() -> None:
    from llguidance import LLMatcher, LLTokenizer

    text = sys.stdin.buffer.read().decode()
    _limit()
    try:
        matcher = LLMatcher(LLTokenizer("byte"), written(sys.argv[1], text), log_level=0)
        wrong = matcher.get_error() if matcher.is_error() else ""
    except ValueError as error:
        wrong = str(error)
    sys.stdout.buffer.write(wrong.partition("\n")[0].encode())
    sys.exit(REFUSED if wrong else 0)


if __name__ == "__main__":
    _main()
