"""Reads a published language model: a folder with config.json, tokenizer.json and safetensors, or a .gguf file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..backbones.incremental import Grid
from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..conditioners.nothing import Nothing
from ..generator import Generator
from ..modalities.text import Text
from ..part import Asset
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from . import architectures, gguf, tokens, told
from .architectures import GGUF, HUGGING_FACE, Shape

CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
SETTINGS = {"temperature": 0.7, "top_p": 0.9}  # if the publisher gives none
FOUR_BITS = ("Q4_0", "Q4_1")
TABLE = "token_embd.weight"  # name of the embedding table in GGUF
DROPPED = ("rotary_emb.inv_freq",)  # computed rather than learned


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint. `names` maps septet's names of the weights to those in the files; `weight` reads a weight
    in fp32 by septet's name; `end` is the end-of-text token; `settings` are the sampling settings; `grid` returns the
    quantised values of a weight that is stored in 4 bits (see Incremental)."""

    where: str
    name: str
    digest: str
    shape: Shape
    names: dict[str, str]
    weight: Callable[[str], Tensor]
    text: Text
    tokenizer: Asset
    end: Any
    settings: dict[str, Any]
    grid: Callable[[str], Grid | None] | None = None

    def generator(self) -> Generator:
        symbols, tied = self.shape.symbols, "head.weight" not in self.names
        if not isinstance(self.end, int) or not 0 <= self.end < symbols:
            end = str(self.end)[:40]
            raise Refusal(f"{self.where}: the end-of-text token is {end}, outside the vocabulary of {symbols:,} tokens")
        markers = tokens.markers_of(self.tokenizer, self.end)
        codec = Symbols(self.shape.sites, "bpe", tokenizer=self.tokenizer, markers=markers, symbols=symbols)
        with torch.device("meta"):
            backbone = Transformer(**self.shape.transformer)
            process = Autoregressive(codec.space, backbone, softcap=None, start=False, tied=tied)
        process.load_state_dict(self._state(process.state_dict(), tied), assign=True)
        if tied:
            process.head.weight = process.table.weight
        model = Generator(self.text, codec, process, Nothing(), settings=self.settings)
        model.name, model.digest, model.grid = self.name, self.digest, self.grid
        return model.eval()

    def _state(self, described: dict[str, Tensor], tied: bool) -> dict[str, Tensor]:
        """All weights by septet's names. Raises Refusal if one is missing or has another shape than in `described`."""
        wanted = set(described) - ({"head.weight"} if tied else set())
        for missing in sorted(wanted - set(self.names)):
            raise Refusal(f"{self.where}: the weight {missing} is missing; use another copy of the model")
        for surplus in sorted(set(self.names) - wanted):
            raise Refusal(f"{self.where}: the weight {self.names[surplus]} is not part of the model it describes")
        state = {}
        for own in sorted(wanted):
            found, named = self.weight(own), f"{self.where}: the weight {self.names[own]}"
            if found.shape != described[own].shape:
                raise Refusal(f"{named} has shape {tuple(found.shape)}, not {tuple(described[own].shape)}")
            if not bool(torch.isfinite(found).all()):
                raise Refusal(f"{named} holds NaN or infinity; use another copy of the model")
            state[own] = found
        return state | ({"head.weight": state["table.weight"]} if tied else {})


def read(path: Path) -> Generator:
    """Loads the model, in fp32 and evaluation mode."""
    try:
        return (_of_gguf(path) if path.is_file() else _of_folder(path)).generator()
    except (Refusal, MemoryError):
        raise
    except Exception as error:  # values from untrusted files are used everywhere in there
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise Refusal(f"{path} cannot be read as a language model ({reason}); use another copy") from error


def _of_folder(folder: Path) -> Checkpoint:
    config = told(folder / CONFIG)
    shape = architectures.of_config(config, str(folder))
    files = _weight_files(folder)
    where: dict[str, Path] = {}
    for file in files:
        with _opened(file) as weights:
            where |= dict.fromkeys(weights.keys(), file)
    names = {}
    for name in where:
        own = architectures.renamed(name, HUGGING_FACE)
        if own is None and not name.endswith(DROPPED):
            raise Refusal(f"{folder}: the weight {name[:80]!r} is not part of a {config['model_type']} model")
        if own is not None:
            names[own] = name
    if (folder / tokens.NAME).is_file():
        tokenizer = Asset(tokens.NAME, (folder / tokens.NAME).read_text(encoding="utf-8"))
    else:
        raise Refusal(f"{folder} has no {tokens.NAME}, which is required; save the tokenizer in that format")
    generation = told(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else {}
    end = generation.get("eos_token_id", config.get("eos_token_id"))
    template, words = tokens.chat_of_folder(folder)
    if isinstance(end, list) and end:  # of several, prefer the one that ends a chat message
        named = tokens.number_of(tokenizer, words.get("eos_token", ""))
        end = named if named in end else end[0]
    settings = {name: generation[name] for name in ("temperature", "top_p", "top_k") if generation.get(name)}

    def weight(own: str) -> Tensor:
        file = where[names[own]]
        with _opened(file) as weights:
            return weights.get_tensor(names[own]).float()

    digest = digest_of([folder / CONFIG, folder / tokens.NAME, *files])
    text = Text(template, words)
    settings = settings or SETTINGS
    return Checkpoint(str(folder), folder.name, digest, shape, names, weight, text, tokenizer, end, settings)


def _of_gguf(path: Path) -> Checkpoint:
    file, where = gguf.File(path), str(path)
    if TABLE not in file.entries:
        raise Refusal(f"{path}: the tensor {TABLE} is missing; use another copy of the model")
    shape = architectures.of_metadata(file.metadata, file.entries[TABLE].shape[0], where)
    names = {}
    for name in file.entries:
        own = architectures.renamed(name, GGUF)
        if own is None and name != "rope_freqs.weight":
            family = file.metadata["general.architecture"]
            raise Refusal(f"{path}: the tensor {name[:80]!r} is not part of a {family} model")
        if own is not None:
            names[own] = name
    if "rope_freqs.weight" in file.entries:
        shape.transformer["rotary_divisors"] = file.weight("rope_freqs.weight").tolist()
    interleaved = file.metadata["general.architecture"] == "llama"

    def ordered(own: str, rows: Tensor) -> Tensor:
        for part, heads in (("query", "heads"), ("key", "kv_heads")):
            if interleaved and f"attention.{part}." in own:
                return halved(rows, shape.transformer[heads])
        return rows

    def weight(own: str) -> Tensor:
        return ordered(own, file.weight(names[own]))

    def grid(name: str) -> Grid | None:
        own = f"backbone.{name}"
        kind = file.entries[names[own]].kind if own in names else ""
        if kind not in FOUR_BITS:
            return None
        scale, shift, numbers = (torch.from_numpy(a) for a in gguf.blocks(file.raw(names[own]), kind))
        return ordered(own, scale), ordered(own, shift), ordered(own, numbers.flatten(1).to(torch.int32))

    tokenizer, end = tokens.of_metadata(file.metadata, where), file.metadata.get("tokenizer.ggml.eos_token_id")
    text = Text(*tokens.chat_of_metadata(file.metadata))
    digest = digest_of([path])
    fours = any(file.entries[name].kind in FOUR_BITS for own, name in names.items() if own.startswith("backbone."))
    kept = grid if fours else None  # otherwise all weights would have to be rounded
    return Checkpoint(where, path.stem, digest, shape, names, weight, text, tokenizer, end, SETTINGS, kept)


def halved(weight: Tensor, heads: int) -> Tensor:
    """Reorders the rows of query or key weights from interleaved rotary pairs, as GGUF stores those of Llama, to pairs
    of elements in the two halves of each head."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def _weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the files listed in its index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise Refusal(f"{folder} has no {WEIGHTS}; use a model in safetensors (pickles are never read)")
    named = told(folder / INDEX).get("weight_map", {})
    names = sorted({str(file) for file in named.values()})
    if not names or any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
        raise Refusal(f"{folder / INDEX} lists files that cannot be weights of a checkpoint; use another copy")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise Refusal(f"{folder}: {missing[0]} is missing; use another copy of the model")
    return [folder / name for name in names]


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise Refusal(f"{file} cannot be read: {error}; use another copy of the model") from error


def digest_of(files: list[Path]) -> str:
    """A hash of the files' contents, 16 hex digits."""
    total = hashlib.sha256()
    for file in files:
        with open(file, "rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()[:16]
