"""Model cards: README.md in a model folder, with its facts in a YAML header and again as readable text."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..space import Refusal

CARD = "README.md"
HUB_KEYS = ("license", "pipeline_tag", "tags")  # at the top level of the header, where model hubs read them


def card_text(facts: Mapping[str, Any]) -> str:
    """README.md with `facts`: name, summary, license, pipeline_tag, tags, and any others.

    Short values become items of the first list; long texts, lists and dicts become sections.
    """
    header = {"library_name": "septet"} | {key: facts[key] for key in HUB_KEYS if key in facts}
    header["septet"] = {key: value for key, value in facts.items() if key not in HUB_KEYS}
    try:
        yaml_text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise Refusal(f"a model card holds plain values, lists and dicts only: {error}") from error
    told = {key: v for key, v in facts.items() if key not in ("name", "summary", "pipeline_tag", "tags")}
    short = {key: v for key, v in told.items() if not isinstance(v, list | dict) and len(str(v)) <= 80}
    lines = [f"# {facts.get('name', 'A septet model')}", "", str(facts.get("summary", "")), ""]
    lines += [f"- {_title(key)}: {value}" for key, value in short.items()]
    lines += [line for key, value in told.items() if key not in short for line in _section(key, value)]
    return f"---\n{yaml_text}---\n" + "\n".join(lines) + "\n"


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _section(key: str, value: Any) -> Iterator[str]:
    yield from ("", f"## {_title(key)}", "")
    if isinstance(value, dict):
        yield from (f"- {name}: {v}" for name, v in value.items())
    elif isinstance(value, list):
        yield from (f"- {v}" for v in value)
    else:
        yield str(value)


def card(folder: str | Path) -> dict[str, Any]:
    """Reads the facts from the card of a model folder."""
    path = Path(folder) / CARD
    try:
        header = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        return {key: header[key] for key in HUB_KEYS if key in header} | header["septet"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise Refusal(f"{path} is not the card of a septet model ({type(error).__name__})") from error
