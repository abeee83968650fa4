"""Chat templates: the Jinja program of a published model that formats a conversation as one text.

Templates are untrusted code, so they run sandboxed in a separate process with limited memory and time, which cannot
write files or start processes. This file is also the program of that process, in which it imports nothing from septet.
"""

import json
import signal
import sys
from typing import Any

SECONDS, MEMORY_BYTES, TEXT_BYTES = 2, 512 << 20, 4 << 20  # SECONDS are CPU time; on a busy machine it can take longer
PATIENCE_SECONDS = 20
TOO_LONG = "the model's chat template took over {} seconds and was stopped; use another model"


def rendered(template: str, asked: list[tuple[list[dict[str, str]], bool]], words: dict[str, str]) -> list[str]:
    """Formats conversations, each given with whether to add the generation prompt, the beginning of a reply. `words`
    are variables for the template, such as bos_token. Raises Refusal if the template fails."""
    import subprocess

    from ..space import Refusal

    given = json.dumps({"template": template, "asked": asked, "words": words})
    command = [sys.executable, "-I", __file__]
    try:
        run = subprocess.run(command, input=given.encode(), capture_output=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Refusal(TOO_LONG.format(PATIENCE_SECONDS)) from None
    if run.returncode == -getattr(signal, "SIGXCPU", 0) != 0:
        raise Refusal(TOO_LONG.format(SECONDS))
    if run.returncode:
        lines = run.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {run.returncode}"]
        raise Refusal(f"the model's chat template failed ({lines[-1][:200]}); use another model, or plain prompts")
    return json.loads(run.stdout)


def alternating(texts: list[str]) -> list[tuple[str, bool]]:
    """Splits a conversation, given as texts up to and including each reply in turn, into (piece, is a reply) pairs."""
    found, said = [], ""
    for before, after in zip(texts[::2], texts[1::2], strict=True):
        if not before.startswith(said):  # the template changed earlier turns: only the last reply counts
            found, said = [], ""
        if after.startswith(before):
            found += [(before[len(said) :], False), (after[len(before) :], True)]
            said = after
    return found


def _limit() -> None:
    """Limits memory and time, and forbids files and processes, if the system supports it."""
    try:
        import resource
    except ImportError:  # Windows has none; time is limited there by the parent
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # The soft limit sends SIGXCPU, which names the cause, the hard limit kills: with equal limits, it would only kill.
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _main() -> None:
    from datetime import datetime

    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    asked: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )

    def raise_exception(message: str) -> None:
        raise TemplateError(str(message)[:300])

    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    _limit()
    texts = []
    try:
        template = environment.from_string(asked["template"])
        for messages, reply in asked["asked"]:
            pieces, size = [], 0
            for piece in template.generate(asked["words"] | {"messages": messages, "add_generation_prompt": reply}):
                pieces.append(piece)
                size += len(piece)
                if size > TEXT_BYTES:
                    raise TemplateError(f"its text is longer than {TEXT_BYTES:,} characters")
            texts.append("".join(pieces).encode("utf-8", "replace").decode())
    except MemoryError:
        sys.exit("it took too much memory")
    except Exception as error:  # untrusted code may raise anything
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}")
    sys.stdout.write(json.dumps(texts))


if __name__ == "__main__":
    _main()
