"""Published sentence encoders: BERT with mean pooling (Reimers and Gurevych 2019), read from a folder in Hugging Face's
format. They embed text and cannot generate it.

Shapes: B batch, N symbols, D width.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..codecs.symbols import Symbols
from ..contracts import Context
from ..part import Asset
from ..space import PADDING, Refusal
from ..storage import weights
from . import tokens, told
from .architectures import MOST_LAYERS, whole
from .reading import CONFIG, WEIGHTS, digest_of

FAMILY = "bert"
LIMIT, POOLING = "sentence_bert_config.json", "1_Pooling/config.json"
UNUSED = ("pooler.", "embeddings.position_ids")  # prefixes of weights that are not loaded
# Weights outside the layers, and of a layer: septet's names to Hugging Face's.
WHOLE = {
    "words.weight": "embeddings.word_embeddings.weight",
    "places.weight": "embeddings.position_embeddings.weight",
    "kinds.weight": "embeddings.token_type_embeddings.weight",
    "norm.weight": "embeddings.LayerNorm.weight",
    "norm.bias": "embeddings.LayerNorm.bias",
}
LAYER = {
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


class Bert(nn.Module):
    """The sum of token, position and segment embeddings (always the first segment), normalised; then transformer layers
    as in Devlin et al. 2019."""

    def __init__(self, symbols: int, sites: int, kinds: int, layer: Mapping[str, Any], layers: int):
        super().__init__()
        self.width = int(layer["d_model"])
        self.words, self.places, self.kinds = (nn.Embedding(n, self.width) for n in (symbols, sites, kinds))
        self.norm = nn.LayerNorm(self.width, layer["layer_norm_eps"])
        kind = nn.TransformerEncoderLayer(dropout=0.0, activation="gelu", batch_first=True, **layer)
        self.encoder = nn.TransformerEncoder(kind, layers, enable_nested_tensor=False)

    def forward(self, symbols_BN: Tensor) -> Tensor:
        """(B, N, D) states of the last layer; padding is masked out of attention."""
        padding = symbols_BN == PADDING
        x = self.words(symbols_BN.clamp(min=0)) + self.places.weight[: symbols_BN.shape[1]] + self.kinds.weight[0]
        return self.encoder(self.norm(x), src_key_padding_mask=padding)


class Encoder(nn.Module):
    """A sentence encoder as `embedding.embed` needs it: a tokenizer, and hidden states of tokens."""

    def __init__(self, name: str, digest: str, codec: Symbols, backbone: Bert):
        super().__init__()
        self.name, self.digest, self.codec, self.backbone = name, digest, codec, backbone

    @property
    def device(self) -> torch.device:
        return self.backbone.words.weight.device

    def states(self, latents: Tensor, context: Context) -> Tensor:
        return self.backbone(latents)


def encodes(path: Path) -> bool:
    """Whether the folder of a published model holds a sentence encoder."""
    return path.is_dir() and told(path / CONFIG).get("model_type") == FAMILY


def read(folder: Path) -> Encoder:
    """Loads the encoder, in fp32 and evaluation mode."""
    try:
        return _read(folder)
    except (Refusal, MemoryError):
        raise
    except Exception as error:  # values from untrusted files are used everywhere in there
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise Refusal(f"{folder} cannot be read as a sentence encoder ({reason}); use another copy") from error


def _read(folder: Path) -> Encoder:
    config, where = told(folder / CONFIG), str(folder)
    _check(folder, config)
    tokenizer = Asset(tokens.NAME, (folder / tokens.NAME).read_text(encoding="utf-8"))
    symbols, sites = (whole(config, name, where) for name in ("vocab_size", "max_position_embeddings"))
    most = told(folder / LIMIT) if (folder / LIMIT).is_file() else {}
    length = min(sites, whole(most, "max_seq_length", where, sites))
    end = tokens.number_of(tokenizer, "[SEP]")
    if end is None:
        raise Refusal(f"{where}: the tokenizer lacks [SEP], which ends a text; use another copy")
    codec = Symbols(length, "bpe", tokenizer=tokenizer, markers={"end": end}, symbols=symbols)
    if codec.plain > symbols:
        found = f"the tokenizer has {codec.plain:,} tokens, the embedding table {symbols:,}"
        raise Refusal(f"{where}: {found}; use another copy")
    layer = {
        "d_model": whole(config, "hidden_size", where),
        "nhead": whole(config, "num_attention_heads", where),
        "dim_feedforward": whole(config, "intermediate_size", where),
        "layer_norm_eps": float(config.get("layer_norm_eps", 1e-12)),
    }
    layers = whole(config, "num_hidden_layers", where, most=MOST_LAYERS)
    with torch.device("meta"):
        backbone = Bert(symbols, sites, whole(config, "type_vocab_size", where, 2), layer, layers)
    backbone.load_state_dict(_state(folder, backbone), assign=True)
    digest = digest_of([folder / CONFIG, folder / tokens.NAME, folder / WEIGHTS])
    return Encoder(folder.name, digest, codec, backbone).eval().requires_grad_(False)


def _check(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises Refusal if the configuration asks for something that is not supported."""
    for name, only in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if config.get(name, only) != only:
            raise Refusal(f"{folder}: {name} is {str(config[name])[:40]!r}; only {only!r} is supported")
    pooling = told(folder / POOLING) if (folder / POOLING).is_file() else {}
    if not pooling.get("pooling_mode_mean_tokens", True):
        raise Refusal(f"{folder}: only mean pooling over tokens is supported; use another sentence encoder")


def _state(folder: Path, backbone: Bert) -> dict[str, Tensor]:
    """The weights by septet's names, checked before they are read; query, key and value weights are concatenated."""
    described, names = backbone.state_dict(), _names(len(backbone.encoder.layers))
    expected = {}
    for own, theirs in names.items():
        parts = described[own].chunk(len(theirs))
        expected |= dict(zip(theirs, parts, strict=True))
    file = folder / WEIGHTS
    table = {name: entry for name, entry in weights.header(file).items() if not name.startswith(UNUSED)}
    weights.check(table, expected, folder)
    found = weights.read(file)
    return {own: torch.cat([found[name].float() for name in theirs]) for own, theirs in names.items()}


def _names(layers: int) -> dict[str, list[str]]:
    """For each of septet's weights, the stored weights whose rows are concatenated to it."""
    names = {own: [theirs] for own, theirs in WHOLE.items()}
    for n in range(layers):
        here, there = f"encoder.layers.{n}.", f"encoder.layer.{n}."
        for kind in ("weight", "bias"):
            inner = [f"{there}attention.self.{part}.{kind}" for part in ("query", "key", "value")]
            names[f"{here}self_attn.in_proj_{kind}"] = inner
            names |= {f"{here}{own}.{kind}": [f"{there}{theirs}.{kind}"] for own, theirs in LAYER.items()}
    return names
