"""What an editor's index takes: files of the project, and nothing beyond it."""

import asyncio
import threading
from pathlib import Path

import pytest
from coder import SOURCE, untaught

from septet.serve.editor import Editor


@pytest.mark.parametrize("way", ["saved", "open", "again"])
def test_a_file_outside_the_project_is_never_indexed(way: str, tmp_path: Path):
    inside, outside = tmp_path / "project" / "harbour.py", tmp_path / "others" / "keys.py"
    for path in (inside, outside):
        path.parent.mkdir()
        path.write_text(SOURCE)
    editor, told = Editor(untaught(), 0.0), threading.Event()

    def settled() -> dict[str, str]:
        """The index once the worker has done all that it was given."""
        assert editor.worker.submit(lambda: None).result() is None and editor.completer.index is not None
        return editor.completer.index.files

    if way == "again":  # saved before the project has been read: put in once it has
        editor.save(outside)
        editor.save(inside)
        settled()
    editor.learn(inside.parent, lambda sentence: told.set())
    assert told.wait()
    for path in (outside, inside):
        if way == "saved":
            editor.save(path)
        elif way == "open":
            asyncio.run(editor.complete("x = 1\ny = ", "\n", path, False, "inline"))
    assert set(settled()) == {str(inside)}


def test_without_a_project_no_file_is_indexed(tmp_path: Path):
    alone = tmp_path / "keys.py"
    alone.write_text(SOURCE)
    editor = Editor(untaught(), 0.0)
    asyncio.run(editor.complete("x = 1\ny = ", "\n", alone, False, "inline"))
    editor.save(alone)
    editor.worker.shutdown()
    assert editor.completer.index is not None and not editor.completer.index.files
