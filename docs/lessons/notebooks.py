"""Writes each lesson as a notebook beside its page: python docs/lessons/notebooks.py"""

from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
HEAD = "---\njupyter:\n  kernelspec:\n    name: python3\n    display_name: Python 3\n    language: python\n---\n\n"


def notebook(page: Path) -> str:
    """The page's text as cells, its commands as cells for bash, no outputs; the same text at every call."""
    found = jupytext.reads(HEAD + page.read_text(), "md")
    found.metadata = {"kernelspec": found.metadata["kernelspec"]}
    for number, cell in enumerate(found.cells):
        cell["id"] = f"{page.stem}-{number}"
    return nbformat.writes(found) + "\n"


if __name__ == "__main__":
    for page in sorted(HERE.glob("[0-9]*.md")):
        page.with_suffix(".ipynb").write_text(notebook(page))
