"""septet chat."""

import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .. import models
from ..generator import Generator
from ..output import version
from ..processes.filters import Filter
from ..processes.settings import chosen
from ..space import Refusal
from ..storage import whole
from ..text_inference.conversation import FILTER, MODEL, REPLY, Conversation
from .terminal import cost, say, tell

HELP = (
    "Ctrl-C stops an answer; Ctrl-D, or Ctrl-C at the prompt, quits. /new restarts, /again regenerates the last answer."
)


def converse(reference: str | None, system: str | None, seed: int, settings: dict[str, Any], save: Path | None) -> None:
    """Answers lines from the terminal, or from a pipe, one after another."""
    began = time.time()
    model = models.load(reference or MODEL)
    _check(model, settings)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # bytes that are not UTF-8 do not end a conversation
    opening = [{"role": "system", "content": system}] if system else []
    terminal, turn = sys.stdin.isatty(), 0
    talk = Conversation(model, list(opening), long=terminal)
    if save is not None:
        _make_room(save)
    if terminal:
        tell(f"{model.name}. {HELP}")
    try:
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
    finally:  # the conversation is saved however it ends
        if save is not None and talk.messages:
            record = {"septet": version(), "model": model.name, "digest": model.digest, "seed": seed}
            record |= {"settings": settings, "messages": talk.messages}
            whole.write(save, (json.dumps(record, indent=1) + "\n").encode())
            tell(f"Saved {save}.")
    say(f"{turn} answers. Cost: {cost(began)}.", *([] if turn else ["chat", "--system", "Answer in one sentence."]))


def _check(model: Generator, settings: dict[str, Any]) -> None:
    """Raises Refusal for settings that no answer can use, before the conversation begins."""
    for name, value in settings.items():
        if name not in (*FILTER, "length"):
            raise Refusal(f"{name}={value}: expected one of {', '.join(sorted(FILTER))}, length; leave it out")
    Filter(**{name: value for name, value in chosen(model.process, settings, {}).items() if name in FILTER})
    if (length := settings.get("length", REPLY)) < 1:
        raise Refusal(f"length={length}: expected at least 1 token")


def _make_room(save: Path) -> None:
    """Makes the folder of a file that is written later; raises Refusal now if it cannot be written."""
    if save.is_dir():
        raise Refusal(f"--save {save} is a folder; name a file in it, such as {save / 'chat.json'}")
    with whole.refusing(save):
        save.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=save.parent).close()


def _line(terminal: bool) -> str | None:
    """The next line; None at the end of input, or if interrupted."""
    try:
        return input("\n> " if terminal else "")
    except (EOFError, KeyboardInterrupt):
        return None


def _answer(talk: Conversation, said: str, seed: int, settings: dict[str, Any]) -> None:
    """Prints an answer while it is generated; if interrupted, the part so far joins the conversation."""
    told = []
    try:
        for piece in talk.reply(said, seed, **settings):
            told.append(piece)
            tell(piece, end="")
    except KeyboardInterrupt:
        talk.messages += [{"role": "user", "content": said}, {"role": "assistant", "content": "".join(told)}]
        tell(" [stopped]", end="")
    except Refusal as error:  # concerns this line only
        tell(f"septet: {error}", end="")
    tell()
