"""Exports language models to other programs: a folder in Hugging Face's format, adapters in PEFT's."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones.adapters import attached
from ..backbones.transformer import Transformer
from ..codecs.symbols import Symbols
from ..generator import Generator
from ..modalities.text import Text
from ..processes.autoregressive import Autoregressive
from ..space import Refusal
from ..storage import whole
from . import ADAPTER
from .architectures import HUGGING_FACE, OWN, renamed
from .tokens import NAME, TEMPLATE

CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def export(model: Generator, folder: Path, dtype: torch.dtype = torch.bfloat16) -> Path:
    """Writes the model, with adapters merged, as config.json, model.safetensors and tokenizer.json, which transformers
    and many other programs read. Raises Refusal if the folder exists and is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refusal(f"{folder} already exists; choose another folder to export to")
    process, codec = parts_of(model)
    assert codec.tokenizer is not None
    weights = {}
    for name, tensor in merged(process).items():
        other = renamed(name, OWN, HUGGING_FACE)
        if other is None:
            raise Refusal(f"{model.name}: the weight {name} has no name in Hugging Face's format")
        weights[other] = tensor.to(dtype).contiguous()
    config = config_of(process, codec) | {"torch_dtype": str(dtype).removeprefix("torch.")}
    words = model.modality.words if isinstance(model.modality, Text) else {}
    texts: dict[str, Any] = {
        "config.json": json.dumps(config, indent=1),
        "generation_config.json": json.dumps({"eos_token_id": codec.space.markers["end"], "do_sample": True}, indent=1),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **words}, indent=1),
        NAME: codec.tokenizer.to_str(),
    }
    if isinstance(model.modality, Text) and model.modality.template is not None:
        texts[TEMPLATE] = model.modality.template.content
    contents = {name: text.encode() for name, text in texts.items()}
    contents["model.safetensors"] = whole.tensor_bytes(weights, folder, {"format": "pt"})
    whole.swap(whole.stage(contents, folder), folder)
    return folder


def parts_of(model: Generator) -> tuple[Autoregressive, Symbols]:
    """The process and codec of a model with the architecture of a published one; Refusal for any other model."""
    process, codec = model.process, model.codec
    if not isinstance(process, Autoregressive) or not isinstance(process.backbone, Transformer):
        raise Refusal(f"{model.name} is not a language model; only language models can be exported")
    if (
        process.start is not None
        or process.softcap is not None
        or not isinstance(codec, Symbols)
        or not codec.tokenizer
    ):
        why = "has parts that other programs do not support"
        raise Refusal(f"{model.name} {why}; only a model fine-tuned from a published one can be exported")
    return process, codec


def merged(process: Autoregressive) -> dict[str, Tensor]:
    """All weights by name, with adapters merged into those of the base; a tied head is omitted."""
    adapted = attached(process)
    found: dict[str, Tensor] = {}
    for name, tensor in (*process.named_parameters(), *process.named_buffers()):
        home = next((path for path in adapted if name.startswith(f"{path}.")), None)
        if home is None:
            found[name] = tensor.detach()
        elif name == f"{home}.inner.bias":
            found[f"{home}.bias"] = tensor.detach()
    found |= {f"{name}.weight": part.weight.detach() for name, part in adapted.items()}
    if _tied(process):
        found.pop("head.weight", None)
    return found


def _tied(process: Autoregressive) -> bool:
    return process.head.weight.data_ptr() == process.table.weight.data_ptr()


def config_of(process: Autoregressive, codec: Symbols) -> dict[str, Any]:
    """The content of config.json in Hugging Face's format."""
    shape: dict[str, Any] = vars(process.backbone)["arguments"]
    family = "qwen3" if shape["query_key_norm"] else "qwen2" if shape["bias"] else "llama"
    rotary: dict[str, Any] = {"rope_type": "default", "rope_theta": shape["rotary_base"]}
    if shape["rotary_divisors"] is not None:
        if len(set(shape["rotary_divisors"])) > 1:
            raise Refusal(
                "this model scales its rotary frequencies by different factors, which export does not support"
            )
        rotary |= {"rope_type": "linear", "factor": shape["rotary_divisors"][0]}
    return {
        "architectures": [CLASSES[family]],
        "model_type": family,
        "vocab_size": process.table.num_embeddings,
        "hidden_size": shape["width"],
        "intermediate_size": shape["hidden"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv_heads"] or shape["heads"],
        "head_dim": process.backbone.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": codec.length,
        "rms_norm_eps": shape["epsilon"],
        "rope_parameters": rotary,
        "rope_theta": shape["rotary_base"],  # read by transformers 4
        "rope_scaling": rotary if "factor" in rotary else None,
        "tie_word_embeddings": _tied(process),
        "eos_token_id": codec.space.markers["end"],
        "bos_token_id": None,
    }


def peft_files(model: Generator, base: str) -> dict[str, bytes]:
    """The contents of adapter_config.json and adapter_model.safetensors, as peft reads them, for the model `base`."""
    process, _ = parts_of(model)
    adapted = attached(process)
    if not adapted:
        raise Refusal(f"{model.name} has no adapters")
    weights, targets, first = {}, set(), next(iter(adapted.values()))
    for name, part in adapted.items():
        other = renamed(f"{name}.weight", OWN, HUGGING_FACE)
        assert other is not None
        stem = f"base_model.model.{other.removesuffix('.weight')}"
        weights[f"{stem}.lora_A.weight"] = part.down.weight.detach().contiguous()
        weights[f"{stem}.lora_B.weight"] = part.up.weight.detach().contiguous()
        targets.add(stem.rpartition(".")[2])
    rank = first.down.out_features
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": first.scale * rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(targets),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    content = whole.tensor_bytes(weights, Path(ADAPTER))
    return {"adapter_config.json": json.dumps(config, indent=1).encode(), ADAPTER: content}
