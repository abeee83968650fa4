"""Prompts in records, which contain only the hash of content: its file must be given again."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..conditioners.prompts import fitted, recorded
from ..contracts import Prompt
from ..generator import Generator
from ..space import Refusal


def is_content(value: Any) -> bool:
    """Whether a value in a record's prompt is the hash of content."""
    return (
        isinstance(value, dict)
        and set(value) <= {"sha256", "file"}
        and re.fullmatch("[0-9a-f]{64}", str(value.get("sha256"))) is not None
        and isinstance(value.get("file", ""), str)
    )


def told(prompt: Any) -> Any:
    """A record's prompt for display: content is replaced by its file name, or by the beginning of its hash."""
    if not isinstance(prompt, dict):
        return prompt
    return {n: v.get("file") or v["sha256"][:16] if is_content(v) else v for n, v in prompt.items()}


def missing(record: Mapping[str, Any], prompt: Prompt) -> str | None:
    """A sentence on content of the prompt that was not given; None if nothing is missing."""
    asked = record["prompt"] if isinstance(record["prompt"], dict) else {}
    left = [n for n, v in asked.items() if is_content(v) and (not isinstance(prompt, Mapping) or n not in prompt)]
    if not left:
        return None
    files = " ".join(shlex.quote(f"{name}=@{asked[name].get('file') or 'FILE'}") for name in left)
    return f"Its prompt has content, of which the record contains only the hash: to generate it again, add {files}."


def prompt_of(record: Mapping[str, Any], model: Generator, files: Mapping[str, Path]) -> Prompt:
    """The record's prompt with the content of `files`. Raises Refusal if they are not those of the record."""
    prompt, contents = record["prompt"], model.conditioner.contents
    if not isinstance(prompt, dict) and not files:
        return prompt
    prompt = prompt if isinstance(prompt, dict) else {}
    read = {name: contents[name].read(path) for name, path in files.items()}
    found = fitted([{n: v for n, v in {**prompt, **read}.items() if not is_content(v)}], contents)[0]
    hashes = recorded(found, contents) or {}
    for name, path in files.items():
        if not is_content(prompt.get(name)) or hashes[name]["sha256"] != prompt[name]["sha256"]:
            raise Refusal(
                f"{name}=@{path}: according to its record, the output was generated from another file; give that one"
            )
    return found
