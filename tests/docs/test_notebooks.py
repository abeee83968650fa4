"""Each lesson's notebook says what its page says."""

import json
import runpy
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[2] / "docs" / "lessons"
PAGES = sorted(LESSONS.glob("[0-9]*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_notebook_is_that_of_the_page(page: Path):
    written = page.with_suffix(".ipynb").read_text()
    assert written == runpy.run_path(str(LESSONS / "notebooks.py"))["notebook"](page), "run `make docs`"
    cells = json.loads(written)["cells"]
    assert page.read_text().count("```bash") == sum("%%bash\n" in cell["source"] for cell in cells)
