"""Translates configurations of published checkpoints to arguments of septet's transformer, and names of weights."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..space import Refusal

READ = ("llama", "qwen2", "qwen3")
MOST, MOST_LAYERS, MOST_SITES = 1 << 24, 1000, 1 << 17
# Names of a layer's weights, without ".weight" or ".bias": septet's, Hugging Face's, GGUF's.
LAYER = (
    ("attention_norm", "input_layernorm", "attn_norm"),
    ("attention.query", "self_attn.q_proj", "attn_q"),
    ("attention.key", "self_attn.k_proj", "attn_k"),
    ("attention.value", "self_attn.v_proj", "attn_v"),
    ("attention.out", "self_attn.o_proj", "attn_output"),
    ("attention.query_norm", "self_attn.q_norm", "attn_q_norm"),
    ("attention.key_norm", "self_attn.k_norm", "attn_k_norm"),
    ("mlp_norm", "post_attention_layernorm", "ffn_norm"),
    ("mlp.gate", "mlp.gate_proj", "ffn_gate"),
    ("mlp.up", "mlp.up_proj", "ffn_up"),
    ("mlp.down", "mlp.down_proj", "ffn_down"),
)
WHOLE = (
    ("table", "model.embed_tokens", "token_embd"),
    ("backbone.norm", "model.norm", "output_norm"),
    ("head", "lm_head", "output"),
)
OWN, HUGGING_FACE, GGUF = range(3)


@dataclass(frozen=True)
class Shape:
    """Arguments of the transformer, size of the vocabulary, and maximum context length in tokens."""

    transformer: dict[str, Any]
    symbols: int
    sites: int


def renamed(name: str, form: int, target: int = OWN) -> str | None:
    """Translates the name of a weight from one naming scheme to another; None if the name is unknown."""
    stem, dot, kind = name.rpartition(".")
    if not dot or kind not in ("weight", "bias"):
        return None
    for names in WHOLE:
        if names[form] == stem:
            return f"{names[target]}.{kind}"
    prefixes = ("backbone.blocks", "model.layers", "blk")
    found = re.fullmatch(rf"{re.escape(prefixes[form])}\.(\d{{1,4}})\.(.+)", stem)
    for names in LAYER if found else ():
        if found and names[form] == found[2]:
            return f"{prefixes[target]}.{found[1]}.{names[target]}.{kind}"
    return None


def of_config(config: Mapping[str, Any], where: str) -> Shape:
    """The Shape described by a config.json in Hugging Face's format."""
    family = _family(config.get("model_type"), where)
    for name in ("attention_bias", "mlp_bias", "use_sliding_window"):
        if config.get(name):
            raise Refusal(f"{where}: {name} is not supported; choose a model without it")
    if config.get("hidden_act", "silu") != "silu":
        raise Refusal(f"{where}: the activation {config['hidden_act']!r} is not supported, only silu is")
    heads, width = whole(config, "num_attention_heads", where), whole(config, "hidden_size", where)
    head_width = whole(config, "head_dim", where, width // heads)
    rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = float(rotary.get("rope_theta", config.get("rope_theta", 10000.0)))
    sites = whole(config, "max_position_embeddings", where, 2048)
    arguments = {
        "width": width,
        "layers": whole(config, "num_hidden_layers", where, most=MOST_LAYERS),
        "heads": heads,
        "kv_heads": whole(config, "num_key_value_heads", where, heads),
        "head_width": head_width,
        "hidden": whole(config, "intermediate_size", where),
        "query_key_norm": family == "qwen3",
        "bias": family == "qwen2",
        "rotary_base": base,
        "rotary_divisors": divisors(rotary, base, head_width, sites, where),
        "epsilon": float(config.get("rms_norm_eps", 1e-6)),
    }
    return Shape(arguments, whole(config, "vocab_size", where), min(sites, MOST_SITES))


def of_metadata(metadata: Mapping[str, Any], symbols: int, where: str) -> Shape:
    """The Shape described by the metadata of a GGUF file. `symbols` is the number of rows of its embedding table.
    Rotary divisors that the file stores as a tensor are not read here."""
    family = _family(metadata.get("general.architecture"), where)
    own = {name.removeprefix(f"{family}."): value for name, value in metadata.items()}
    heads, width = whole(own, "attention.head_count", where), whole(own, "embedding_length", where)
    head_width = whole(own, "attention.key_length", where, width // heads)
    if whole(own, "rope.dimension_count", where, head_width) != head_width:
        raise Refusal(f"{where}: rotary positions on a part of each head are not supported; choose another model")
    base, sites = float(own.get("rope.freq_base", 10000.0)), whole(own, "context_length", where, 2048)
    kind = own.get("rope.scaling.type", "none")
    rotary = {} if kind == "none" else {"rope_type": kind, "factor": own.get("rope.scaling.factor", 1.0)}
    arguments = {
        "width": width,
        "layers": whole(own, "block_count", where, most=MOST_LAYERS),
        "heads": heads,
        "kv_heads": whole(own, "attention.head_count_kv", where, heads),
        "head_width": head_width,
        "hidden": whole(own, "feed_forward_length", where),
        "query_key_norm": family == "qwen3",
        "bias": family == "qwen2",
        "rotary_base": base,
        "rotary_divisors": divisors(rotary, base, head_width, sites, where),
        "epsilon": float(own.get("attention.layer_norm_rms_epsilon", 1e-6)),
    }
    return Shape(arguments, symbols, min(sites, MOST_SITES))


def divisors(rotary: Mapping[str, Any], base: float, head_width: int, sites: int, where: str) -> list[float] | None:
    """The divisor of each rotary frequency, from `rope_scaling` or `rope_parameters`; None for no scaling."""
    kind = rotary.get("rope_type", rotary.get("type", "default"))
    if kind == "default":
        return None
    count, factor = head_width // 2, float(rotary.get("factor", 1.0))
    if kind == "linear":
        return [factor] * count
    if kind != "llama3":
        raise Refusal(f"{where}: rotary scaling {kind!r} is not supported; default, linear and llama3 are")
    slow, fast = float(rotary["low_freq_factor"]), float(rotary["high_freq_factor"])
    trained = float(rotary.get("original_max_position_embeddings", sites))
    found = []
    for n in range(count):
        turns = trained * base ** (-n / count) / (2 * math.pi)  # full rotations within the trained context
        share = min(max((turns - slow) / (fast - slow), 0.0), 1.0)  # 0 scaled by `factor`, 1 unscaled (Llama 3.1)
        found.append(1 / ((1 - share) / factor + share))
    return found


def _family(name: Any, where: str) -> str:
    if name not in READ:
        raise Refusal(f"{where}: the architecture {str(name)[:40]!r} is not supported; {', '.join(READ)} are")
    return str(name)


def whole(config: Mapping[str, Any], name: str, where: str, otherwise: int | None = None, most: int = MOST) -> int:
    """An integer from 1 to `most` in `config`; `otherwise` if it is absent."""
    value = config.get(name)
    value = otherwise if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Refusal(f"{where}: {name}={str(value)[:40]}: expected an integer from 1 to {most:,}; use another copy")
    return value
