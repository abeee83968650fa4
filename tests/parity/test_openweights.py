"""Published language models, read into septet's transformer, say what the library that trained them says."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import septet
from septet import models as folders
from septet.contracts import Context
from septet.openweights import gguf as reader
from septet.openweights.architectures import GGUF, HUGGING_FACE, OWN, renamed
from septet.space import Refusal

SHAPE: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "eos_token_id": 0,
    "bos_token_id": 0,
}
STRETCHED: dict[str, Any] = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama-stretched": ("Llama", {"rope_parameters": STRETCHED, "tie_word_embeddings": True}),
    "llama-linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
}


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["the quick brown fox jumps over the lazy dog, and the dog sleeps on"] * 9, trainer)
    return made


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, tmp_path_factory):
    """A random model of each family as its library holds it, and its folder."""
    name, more = FAMILIES[request.param]
    torch.manual_seed(0)
    theirs = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**SHAPE | more)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # large enough that every part matters
            parameter += torch.randn_like(parameter) * 0.15
    folder = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return theirs, folder


@torch.no_grad()
def test_scores_are_theirs(pair):
    theirs, folder = pair
    ours = septet.load(folder)
    ids = torch.randint(1, 256, (3, 100), generator=torch.Generator().manual_seed(1))
    expected, found = theirs(ids).logits[:, :-1], ours.process.predict(ids, Context())[:, 1:]
    scale, difference = float(expected.abs().max()), float((expected - found).abs().max())
    print(f"largest score {scale:.2f}, largest difference {difference:.1e}")
    assert scale > 1 and difference < 1e-4


def test_the_greedy_continuation_is_theirs(pair):
    theirs, folder = pair
    ours = septet.load(folder)
    for text in ("the quick", "dog sleeps on the", "x"):
        ids = torch.tensor([tokenizer().encode(text).ids])
        expected = theirs.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=0)[0]
        wanted = tokenizer().decode(expected.tolist(), skip_special_tokens=True)
        given = septet.Given(text)
        assert ours.generate(given=given, temperature=0.0, length=24)[0].datum == wanted


def test_a_sharded_folder_and_a_saved_copy_are_the_same_model(pair, tmp_path: Path):
    theirs, folder = pair
    theirs.save_pretrained(tmp_path / "sharded", max_shard_size="60KB")
    tokenizer().save(str(tmp_path / "sharded" / "tokenizer.json"))
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    whole, sharded = septet.load(folder), septet.load(tmp_path / "sharded")
    folders.save(whole, tmp_path / "copy", card={})
    copied = septet.load(tmp_path / "copy")
    ids = torch.arange(1, 60)[None]
    scores, weights = whole.process.predict(ids, Context()), whole.state_dict()
    for model in (sharded, copied):
        assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
        assert torch.allclose(model.process.predict(ids, Context()), scores, atol=1e-4)


def write_gguf(path: Path, theirs, kind: gguf.GGMLQuantizationType) -> None:
    """A Llama as llama.cpp's converter writes it: rows of queries and keys interleaved, matrices as `kind`."""
    config, writer = theirs.config, gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_context_length(config.max_position_embeddings)
    tree = json.loads(tokenizer().to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(tree["vocab"], key=tree["vocab"].__getitem__))
    writer.add_token_types([3] + [1] * (len(tree["vocab"]) - 1))
    writer.add_token_merges([" ".join(merge) for merge in tree["merges"]])
    writer.add_eos_token_id(0)
    for name, tensor in theirs.state_dict().items():
        values = tensor.numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:
            values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        own = renamed(name, HUGGING_FACE)
        named = own and renamed(own, OWN, GGUF)
        assert own and named
        stored = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else kind
        data = gguf.quantize(values.astype(np.float32), stored)
        writer.add_tensor(named, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    shape: dict[str, Any] = SHAPE | {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape)).eval()


KINDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_gguf_file_holds_the_same_model(llama, kind: str, tmp_path: Path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, llama, getattr(gguf.GGMLQuantizationType, kind))
    read, file = gguf.GGUFReader(path), reader.File(path)
    for tensor in read.tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
        assert np.array_equal(file.weight(tensor.name).numpy(), expected), tensor.name
    ours, ids = septet.load(path), torch.arange(1, 60)[None]
    expected, found = llama(ids).logits[:, :-1], ours.process.predict(ids, Context())[:, 1:]
    error = float((expected - found).norm() / expected.norm())
    print(f"{kind}: relative error {error:.1e}")
    assert error < {"F32": 1e-5, "F16": 1e-2, "BF16": 2e-2, "Q8_0": 3e-2, "Q4_0": 0.4, "Q4_1": 0.4}[kind]
    assert (ours.grid is not None) == kind.startswith("Q4")
    if ours.grid is not None:  # the file's, to the last number
        scale, shift, numbers = ours.grid("blocks.1.attention.key.weight")
        again = numbers.unflatten(1, (-1, 32)) * scale[..., None] + shift[..., None]
        assert torch.equal(again.flatten(1), ours.process.backbone.blocks[1].attention.key.weight)
    assert ours.codec.text_of(ours.codec.symbols_of("the lazy fox")) == "the lazy fox"


def changed(content: bytes, at: int, number: bytes) -> bytes:
    return content[:at] + number + content[at + len(number) :]


HUGE = (1 << 62).to_bytes(8, "little")


@pytest.mark.hostile
@pytest.mark.parametrize("case", ["tensors", "entries", "cut", "half", "bare", "version", "overlap", "shape", "type"])
def test_a_hostile_gguf_file_is_refused_in_a_sentence(llama, case: str, tmp_path: Path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, llama, gguf.GGMLQuantizationType.F32)
    content = path.read_bytes()
    name = b"output_norm.weight"  # its entry: axes (4 bytes), shape (8 a axis), type (4), offset (8)
    at = content.index(name) + len(name)
    path.write_bytes(
        {
            "tensors": changed(content, 8, HUGE),
            "entries": changed(content, 16, HUGE),
            "cut": content[:-100],
            "half": content[: at // 2],
            "bare": b"GGUF",
            "version": changed(content, 4, b"\x09\0\0\0"),
            "overlap": changed(content, at + 16, (32).to_bytes(8, "little")),
            "shape": changed(content, at + 4, HUGE),
            "type": changed(content, at + 12, b"\x0c\0\0\0"),
        }[case]
    )
    with pytest.raises(Refusal) as refused:
        septet.load(path)
    said = str(refused.value)
    assert "\n" not in said and str(path) in said and len(said) < 400, said
    assert case != "type" or "Q4_K" in said


@pytest.mark.hostile
@pytest.mark.parametrize(
    "config, said",
    [
        ({"model_type": "mamba"}, "architecture 'mamba'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rotary scaling 'yarn'"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers=1000000000"),
        ({"hidden_size": 64}, "has shape"),
        ({"attention_bias": True}, "attention_bias is not supported"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "cannot be read as a language model"),
    ],
)
def test_what_cannot_be_read_is_named(llama, config: dict, said: str, tmp_path: Path):
    llama.save_pretrained(tmp_path)
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    whole = json.loads((tmp_path / "config.json").read_text())
    whole |= {"hidden_size": 64} | config | ({"hidden_size": 32} if "hidden_size" in config else {})
    (tmp_path / "config.json").write_text(json.dumps(whole | {"rope_parameters": None}))
    with pytest.raises(Refusal, match=said):
        septet.load(tmp_path)
