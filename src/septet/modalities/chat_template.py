"""Chat templates: a published model's own Jinja program that makes one text of a conversation.

Whoever wrote the model wrote the template, so it runs in a process of its own that may take little memory and time, can
open nothing, and is killed when it takes longer. This file is that process, too, and imports nothing of septet then.
"""

import json
import signal
import sys
from typing import Any

SECONDS, MEMORY_BYTES, TEXT_BYTES = 2, 512 << 20, 4 << 20  # of processor time; a busy machine may take longer
PATIENCE_SECONDS = 20
TOO_LONG = "the model's chat template took over {} seconds and was stopped; use another"


def rendered(template: str, asked: list[tuple[list[dict[str, str]], bool]], words: dict[str, str]) -> list[str]:
    """Conversations as the model was taught to read them; each with whether it ends where an answer begins. `words` are
    names that the template may use, such as bos_token."""
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
        lines = run.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with code {run.returncode}"]
        raise Refusal(f"the model's chat template failed ({lines[-1][:200]}); use another, or plain prompts")
    return json.loads(run.stdout)


def _limit() -> None:
    """Little memory and time, and nothing to open, from here on; where the system knows such limits."""
    try:
        import resource
    except ImportError:  # Windows has none; time is limited there by the parent
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # The first bound sends a signal that tells of time, the second kills: were they one, no signal would come.
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
                    raise TemplateError(f"it made more than {TEXT_BYTES:,} characters")
            texts.append("".join(pieces).encode("utf-8", "replace").decode())
    except MemoryError:
        sys.exit("it took too much memory")
    except Exception as error:  # whatever a stranger's program may raise
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a word'}")
    sys.stdout.write(json.dumps(texts))


if __name__ == "__main__":
    _main()
