"""Schemas and patterns from strangers: ordinary ones are kept to, those made to use up a machine are refused."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import torch

from septet.codecs.symbols import Symbols
from septet.space import Refusal
from septet.text_inference import grammar
from septet.text_inference.constraints import Constraint, Vocabulary

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(Symbols(256))


def chain(length: int) -> dict[str, Any]:
    """A schema whose definitions each lead to the next."""
    links = {
        f"l{n}": {"properties": {"next": {"$ref": f"#/$defs/l{n + 1}"}}, "required": ["next"]} for n in range(length)
    }
    return {"$defs": links | {f"l{length}": {"type": "string"}}, "$ref": "#/$defs/l0"}


def drawn(constraint: Constraint, vocabulary: Vocabulary, count: int) -> bytes:
    """At most `count` bytes drawn by chance from what is allowed."""
    symbols: list[int] = []
    noise = torch.Generator().manual_seed(1)
    while len(symbols) < count:
        scores = torch.randn(256 + 5, generator=noise)
        constraint(scores, symbols)
        symbols.append(int(scores.argmax()))
        if symbols[-1] == vocabulary.end:
            return bytes(symbols[:-1])
    return bytes(symbols)


HOSTILE: dict[str, dict[str, Any]] = {
    "multiples of a large number": {"multipleOf": 3000017},
    "multiples of two numbers, in parts of parts": {
        "allOf": [{"multipleOf": 1009}, {"type": "integer", "allOf": [{"allOf": [{"multipleOf": 3001}]}]}]
    },
    "definitions that lead to one another": chain(1200),
    "fewer, which a thread with less stack could not follow": chain(300),
    "patterns that are compared with one another": {"patternProperties": {f"^p{n}_": {} for n in range(500)}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_schema_that_would_use_up_the_machine_is_refused(vocabulary: Vocabulary, name: str):
    with pytest.raises(Refusal, match="simplify it"):
        Constraint(vocabulary, HOSTILE[name])


@pytest.mark.parametrize("name", ["multiples of a large number", "patterns that are compared with one another"])
def test_what_is_refused_has_taken_no_more_than_it_may(name: str):
    code = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-P", sys.argv[1], "schema"], stdin=sys.stdin, capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss << 10, used.ru_utime + used.ru_stime)
"""
    command = [sys.executable, "-c", code, grammar.__file__]
    run = subprocess.run(command, input=json.dumps(HOSTILE[name]), capture_output=True, text=True, timeout=300)
    memory_bytes, seconds = map(float, run.stdout.split())
    assert memory_bytes <= 2 * grammar.MEMORY_BYTES and seconds < grammar.SECONDS + 1


BOUNDED: dict[str, tuple[dict[str, Any] | None, str | None]] = {
    "long texts": ({"type": "string", "minLength": 10**6}, None),
    "long lists": ({"type": "array", "maxItems": 10**9, "minItems": 10**6}, None),
    "a definition of itself": ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, None),
    "repeats of repeats": (None, "((a{1,1000}){1,1000}){1,1000}"),
    "a pattern of many ways": (None, r"(.*a){30}.{50,90}b(.|\n){1,5000}"),
    "a large number that is quickly shown to have multiples": ({"multipleOf": 4294967291}, None),
    "brackets in brackets": (None, "(" * 5000 + "a" + ")" * 5000),
    "parts in parts": (json.loads('{"allOf":[' * 100 + "{}" + "]}" * 100), None),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_looks_large_is_refused_or_drawn_from(vocabulary: Vocabulary, name: str):
    schema, regex = BOUNDED[name]
    try:
        constraint = Constraint(vocabulary, schema, regex)
    except Refusal as refusal:
        assert "\n" not in str(refusal) and len(str(refusal)) < 300
    else:
        drawn(constraint, vocabulary, 100)


def test_an_ordinary_schema_is_kept_to_by_every_copy(vocabulary: Vocabulary):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "price": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 10},
            "tags": {"type": "array", "items": {"enum": ["new", "old"]}, "maxItems": 3},
        },
        "required": ["name", "price", "tags"],
        "additionalProperties": False,
    }
    whole = Constraint(vocabulary, schema)
    texts = [drawn(whole, vocabulary, 2000), drawn(whole.copy(), vocabulary, 2000)]
    assert texts[0] == texts[1]
    thing = json.loads(texts[0])
    assert set(thing) == {"name", "price", "tags"} and 0 <= thing["price"] <= 10
    pattern = Constraint(vocabulary, regex="[a-c]{5}!")
    assert re.fullmatch(b"[a-c]{5}!", drawn(pattern, vocabulary, 20))


def test_what_has_passed_is_not_tried_again(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch):
    Constraint(vocabulary, regex="[x-z]{3}")
    monkeypatch.setattr(grammar, "PATIENCE_SECONDS", 0)
    Constraint(vocabulary, regex="[x-z]{3}")
    with pytest.raises(Refusal, match="simplify it"):
        Constraint(vocabulary, regex="[x-z]{4}")


def test_a_process_that_breaks_refuses(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(Refusal, match="simplify it"):
        Constraint(vocabulary, regex="[x-z]{5}")
