"""Folders as they are: links, loops, hidden and special files, and what is no folder at all."""

import os
from pathlib import Path

import pytest

from septet.data.files import kinds, listed, shown
from septet.space import Refusal


def test_subfolders_are_walked_in_order_and_hidden_files_left_out(tmp_path: Path):
    for name in ("b/2.png", "b/1.png", "a.png", ".hidden.png", ".git/x.png", "__MACOSX/y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in listed(tmp_path)] == ["a.png", "b/1.png", "b/2.png"]


def test_links_that_loop_or_lead_nowhere_do_no_harm(tmp_path: Path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.png").touch()
    (tmp_path / "inner" / "up").symlink_to(tmp_path)
    (tmp_path / "inner" / "self").symlink_to("self")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "again").symlink_to(tmp_path / "inner")
    os.mkfifo(tmp_path / "pipe.png")
    assert [p.name for p in listed(tmp_path)] == ["a.png"]


def test_what_cannot_be_opened_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        ("missing", "no such"),
        ("pipe", "neither a file"),
        ("a\0b", "no such"),
        ("x" * 5000, "too long"),
    ):
        with pytest.raises(Refusal, match=said):
            listed(tmp_path / path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads everything")
def test_a_folder_without_permission_is_refused(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(Refusal, match="Permission denied"):
        listed(tmp_path / "locked")


def test_names_are_printable(tmp_path: Path):
    assert shown(os.fsdecode(b"a\xff\n\x1b[2Jb")) == "a\ufffd\ufffd\ufffd[2Jb"
    assert kinds([Path("a.PNG"), Path("b.png"), Path("c")]) == "2 .png, 1 without extension"
