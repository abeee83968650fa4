"""The lessons run as they stand, one after another in one folder, as a course would take them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[2] / "docs" / "lessons"
PAGES = sorted(LESSONS.glob("[0-9]*.md"))

pytestmark = pytest.mark.lesson


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Iterator[Path]:
    """An empty folder with the script of the data."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "shapes.py").write_text((LESSONS / "shapes.py").read_text())
    yield folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_lesson_runs(page: Path, course: Path):
    blocks = re.findall(r"```(bash|python)\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    script = "import subprocess\n"
    for language, block in blocks:
        script += block if language == "python" else f"subprocess.run(['bash', '-ec', {block!r}], check=True)\n"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "error", "-c", script]
    run = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-3000:]
