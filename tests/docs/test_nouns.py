"""The code on the pages of docs/nouns runs as it stands."""

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "docs" / "nouns").glob("*.md"))
BLOCKS = [(page.stem, block) for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)]


@pytest.mark.parametrize("page,block", BLOCKS, ids=[page for page, _ in BLOCKS])
def test_code_of_the_nouns_runs(page: str, block: str):
    exec(compile(block, f"{page}.md", "exec"), {})
