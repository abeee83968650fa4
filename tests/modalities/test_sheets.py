"""Style sheets of SVG files count, and no file is read over and over."""

import io
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
import svgelements

from septet.modalities.svg import MOST_BYTES, parse_svg
from septet.space import Refusal

OPENING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
HOUSE = '<path d="M3 11 12 3l9 8v10h-6v-6H9v6H3z"/>'
SIZE = 900_000


def svg(body: str) -> str:
    return f"{OPENING}{body}</svg>"


def sheet(text: str) -> str:
    return svg(f"<style>{text}</style>{HOUSE}")


HOSTILE = {
    "no rule": sheet("a" * SIZE),
    "spaces": sheet("a" + " " * SIZE + "a"),
    "spaces in a rule": sheet("a{" + " " * SIZE + "a"),
    "a rule that does not end": sheet("a{" + "b" * SIZE),
    "comments": sheet("/*" * (SIZE // 2)),
    "one selector over and over": sheet("path{b:c}" * (SIZE // 9)),
    "selectors of one long rule": sheet("a," * (SIZE // 4) + "a{" + "b" * (SIZE // 2) + "}"),
    "a rule for everything": svg("<style>*{" + "a:b;" * (SIZE // 8) + "}</style>" + "<g/>" * 4000 + HOUSE),
    "classes": svg("<style>.a{" + "a:b;" * (SIZE // 8) + '}</style><g class="' + "a " * (SIZE // 4) + f'">{HOUSE}</g>'),
    "attributes": svg("<g " + " ".join(f'a{n}=""' for n in range(50_000)) + f">{HOUSE * 400}</g>"),
    "an outline on a group": svg('<g d="M0 0' + "h1v1" * (SIZE // 8) + '">' + "<path/>" * 4000 + f"{HOUSE}</g>"),
    "uses of one outline": svg(
        '<defs><path id="a" d="M0 0h' + " 1" * (SIZE // 4) + '"/></defs>' + '<use href="#a"/>' * 4000
    ),
    "a transform for many": svg('<g transform="' + "scale(1)" * 50_000 + '">' + HOUSE * 400 + "</g>"),
    "nested transforms": svg(
        ('<g transform="' + "scale(1)" * 100 + '">') * 200 + '<path d="M0 0h9v9"/>' * 1000 + "</g>" * 200
    ),
    "transforms that do not end": svg('<g transform="' + "scale(" * (SIZE // 6) + f'">{HOUSE}</g>'),
    "digits of a colour": svg('<g fill="rgb(' + "1" * SIZE + f'">{HOUSE}</g>'),
    "numbers of a colour": svg(
        '<g fill="rgb(' + ",".join(["1" * 24] * 6) + '">' + '<path d="M0 0h9v9"/>' * 1200 + "</g>"
    ),
    "digits of points": svg('<polyline points="' + "1" * SIZE + f'"/>{HOUSE}'),
    "ends of an outline": svg('<path d="M0 0h9v9' + "z" * SIZE + '"/>'),
    "gradients": svg(
        "".join(f'<linearGradient id="a{n}" href="#a"/>' for n in range(2400))
        + '<linearGradient id="a">'
        + '<stop stop-color="rgb(1,2,3)"/>' * 2400
        + f"</linearGradient>{HOUSE}"
    ),
}


def read(text: str) -> int:
    """Characters of attributes that are read of an SVG: all that an element says, inherits, or is used with."""
    root = ElementTree.fromstring(text)
    named = {element.get("id"): element for element in root.iter()}

    def count(element: ElementTree.Element, handed_down: dict[str, str]) -> int:
        said = handed_down | dict(element.attrib)
        said["transform"] = handed_down.get("transform", "") + element.get("transform", "")
        below = [*element]
        if element.tag.endswith("use"):
            below.append(named[element.get("href", "")[1:]])
        return sum(map(len, said.values())) + sum(count(child, said) for child in below)

    return count(root, {})


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_read_over_and_over(name: str, monkeypatch):
    """What svgelements gets of a file has no style sheets, whose reading takes it the square of their length or more,
    and is hardly longer than a file may be, all that is inherited or used again written out."""
    given, parse = [], svgelements.SVG.parse

    def noted(text: io.StringIO, **rest: Any) -> Any:
        given.append(text.getvalue())
        return parse(text, **rest)

    monkeypatch.setattr(svgelements.SVG, "parse", noted)
    try:
        assert parse_svg(HOSTILE[name].encode(), coloured=True).figures
    except Refusal as error:
        assert str(error).startswith("the SVG") and len(str(error)) < 200
    for text in given:
        assert "style" not in text and "class" not in text and read(text) < 1.3 * MOST_BYTES
        assert not re.search(r"\d{25}", text)


def colours(body: str) -> list[str | None]:
    return [figure.colour for figure in parse_svg(svg(body).encode(), coloured=True).figures]


def test_rules_of_style_sheets_reach_what_they_are_for():
    rules = (
        "/* red { all } */ * { fill: #010101 } path{fill:#020202} #own{fill:#030303;}\n"
        "@font-face{font-family:x} .a, .b { fill : #040404 } path.b{fill:#050505}"
        " @media print { .x, .c { fill: #060606 } .c{fill:#060606}}"
        ".d{fill:#999} .d{fill:#070707} g .a{fill:#999}/* open"
    )
    shapes = (
        '<circle cx="9" cy="9" r="3"/><path d="M0 0h9v9z"/><path id="own" d="M0 0h9v9z"/>'
        '<path class="a" d="M0 0h9v9z"/>'
        '<path class="x b" fill="#999" d="M0 0h9v9z"/><path class="c" d="M0 0h9v9z"/><path class="d" d="M0 0h9v9z"/>'
        '<path class="d" style="fill:#080808;stroke:none" d="M0 0h9v9z"/>'
    )
    found = [f"#0{n}0{n}0{n}" for n in (1, 2, 3, 4, 5, 2, 7, 8)]
    assert (
        colours(f"<style>{rules}</style>{shapes}") == colours(f"{shapes}<defs><style>{rules}</style></defs>") == found
    )
    stops = '<linearGradient id="g"><stop class="a"/><stop class="b" offset="1"/></linearGradient>'
    rules = ".a,.b{stop-color:#0a0a0a} .b{stop-color:#0c0c0c} path{fill:url(#g)}"
    assert colours(f"<style>{rules}</style>{stops}{HOUSE}") == ["#0b0b0b"]


def test_what_is_not_drawn_is_passed_over():
    body = "<title>a</title><metadata><path xmlns='urn:x' d='M0 0h9v9'/></metadata><text>b<tspan>c</tspan></text>"
    body += '<filter><feImage href="data:image/png;base64,' + "A" * 5000 + '"/></filter>' + HOUSE
    assert len(parse_svg(svg(body).encode()).figures) == 1


def test_numbers_as_exports_write_them_are_read():
    body = (
        '<path id="a1234567890123456789012345" fill="rgb(12.549019607843137%,0%,0%)" d="M0.30000000000000004 0h9v9z"/>'
    )
    assert colours(body) == ["#200000"]
