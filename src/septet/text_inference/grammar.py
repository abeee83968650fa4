"""Compiles schemas and regular expressions to grammars with llguidance, in a sandbox first.

llguidance's own limits are not sufficient: a small schema can take minutes and gigabytes, or overflow the stack and end
the process. Untrusted input is therefore compiled first in a child process with little memory and time, and compiled
here only if that succeeds. The child process runs this file, which then imports nothing of septet.
"""

import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

SECONDS, STACK_BYTES = 2, 1 << 20  # processor time; a large schema takes 0.2 s. Threads of this process have more stack
MEMORY_BYTES = 64 << 20  # in addition to Python and the library; a large schema takes less than half
PATIENCE_SECONDS = 60  # of wall-clock time, which exceeds the processor time on a busy machine
TOO_MUCH = f"it takes over {SECONDS} seconds or {MEMORY_BYTES >> 20} MB to prepare; simplify it"
REFUSED = 3  # exit code if the library itself reports an error
TRYING = threading.Lock()  # one at a time, so that many requests occupy no more than one core


@lru_cache(maxsize=64)
def check(kind: str, text: str) -> None:
    """Raises Refusal if a "schema" or "regex" does not compile to a grammar within the limits. Successes are cached."""
    from ..space import Refusal

    command, given = [sys.executable, "-P", __file__, kind], text.encode(errors="replace")
    try:
        with TRYING:
            run = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Refusal(f"the schema or pattern was not prepared after {PATIENCE_SECONDS} seconds: simplify it") from None
    if run.returncode:
        reason = run.stdout.decode(errors="replace")[:200] if run.returncode == REFUSED else TOO_MUCH
        raise Refusal(f"the schema or pattern is not supported: {reason}")


def written(kind: str, text: str) -> str:
    """The grammar in llguidance's format. Raises ValueError if a schema is not JSON."""
    from llguidance import LLMatcher

    return LLMatcher.grammar_from_regex(text) if kind == "regex" else LLMatcher.grammar_from_json_schema(text)


def _limit() -> None:
    """Limits memory, stack and processor time from here on, on systems that support it."""
    try:
        import resource
    except ImportError:  # on Windows; there the parent's timeout is the only limit
        return
    try:  # the address space that is already in use differs between systems
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
