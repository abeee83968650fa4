"""Tokenizers of published models, as tokenizer.json, the format of the tokenizers library."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..codecs import subwords
from ..part import Asset
from ..space import Refusal
from . import told

NAME, TOLD, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
CONTROL, USER_DEFINED = 3, 4  # GGUF's types of special tokens
LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# Pre-tokenizers before byte-level BPE, by tokenizer.ggml.pre: a regular expression; GPT-2's, after splitting off single
# digits; GPT-2's alone (PLAIN).
CUTS = {
    "llama-bpe": LETTERS + r"\p{N}{1,3}" + REST,
    "qwen2": LETTERS + r"\p{N}" + REST,
}
SINGLE_DIGITS = ("smollm", "starcoder", "refact")
BEGUN = ("llama-bpe",)  # texts begin with a special token unless the file says otherwise
PLAIN = ("gpt-2", "default")
# Names of the special tokens of fill-in-the-middle models.
FILL = {
    "prefix": ("<|fim_prefix|>", "<fim_prefix>", "<PRE>"),
    "suffix": ("<|fim_suffix|>", "<fim_suffix>", "<SUF>"),
    "middle": ("<|fim_middle|>", "<fim_middle>", "<MID>"),
}


def of_metadata(metadata: Mapping[str, Any], where: str) -> Asset:
    """Builds the byte-level BPE tokenizer that is described by the metadata of a GGUF file."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, processors
    from tokenizers import pre_tokenizers as pre

    model, cut = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if model != "gpt2":
        raise Refusal(f"{where}: the tokenizer type {str(model)[:40]!r} is not supported; gpt2, byte-level BPE, is")
    if cut not in (*CUTS, *SINGLE_DIGITS, *PLAIN):
        known = ", ".join((*CUTS, *SINGLE_DIGITS, *PLAIN))
        raise Refusal(f"{where}: the pre-tokenizer {str(cut)[:40]!r} is not supported; {known} are")
    tokens: Any = metadata.get("tokenizer.ggml.tokens")
    merges: Any = metadata.get("tokenizer.ggml.merges")
    if not _texts(tokens) or not _texts(merges) or len(set(tokens)) != len(tokens):
        raise Refusal(f"{where}: the tokenizer's tokens and merges are not lists of strings; use another copy")
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        bpe = models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=cut == "llama-bpe")
    except Exception as error:  # the library raises plain exceptions
        raise Refusal(f"{where}: the tokenizer cannot be built ({error}); use another copy") from error
    tokenizer = Tokenizer(bpe)
    if cut in CUTS:
        steps = [pre.Split(Regex(CUTS[cut]), "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)]
    else:
        digits = [pre.Digits(individual_digits=True)] if cut in SINGLE_DIGITS else []
        steps = [*digits, pre.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata.get("tokenizer.ggml.token_type", [])
    special = [t for t, kind in zip(tokens, kinds, strict=False) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    first = metadata.get("tokenizer.ggml.bos_token_id")
    if (
        metadata.get("tokenizer.ggml.add_bos_token", cut in BEGUN)
        and isinstance(first, int)
        and first in range(len(tokens))
    ):
        pieces = [f"{tokens[first]}:0", "$A:0"]
        tokenizer.post_processor = processors.TemplateProcessing(pieces, special_tokens=[(tokens[first], first)])
    return Asset(NAME, tokenizer.to_str())


def chat_of_metadata(metadata: Mapping[str, Any]) -> tuple[Asset | None, dict[str, str]]:
    """The chat template of a GGUF file, if there is one, and the special tokens that it may use, by name."""
    template, tokens = metadata.get("tokenizer.chat_template"), metadata.get("tokenizer.ggml.tokens", [])
    words = {}
    for word in ("bos", "eos"):
        number = metadata.get(f"tokenizer.ggml.{word}_token_id")
        if isinstance(number, int) and 0 <= number < len(tokens):
            words[f"{word}_token"] = str(tokens[number])
    return (Asset(TEMPLATE, template) if isinstance(template, str) else None), words


def chat_of_folder(folder: Path) -> tuple[Asset | None, dict[str, str]]:
    """The same for a folder in Hugging Face's format."""
    path, config = folder / TEMPLATE, told(folder / TOLD) if (folder / TOLD).is_file() else {}
    found = {name: config.get(name) for name in ("bos_token", "eos_token")}
    words = {n: str(v["content"] if isinstance(v, dict) and "content" in v else v) for n, v in found.items() if v}
    template = path.read_text(encoding="utf-8") if path.is_file() else config.get("chat_template")
    if isinstance(template, list):  # several templates by name
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return (Asset(TEMPLATE, template) if isinstance(template, str) else None), words


def number_of(asset: Asset, word: str) -> int | None:
    """The id of a special token, such as the end of a text; None if the tokenizer does not have it."""
    return subwords.opened(asset.content).token_to_id(word)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def markers_of(asset: Asset, end: int) -> dict[str, int]:
    """The ids of the special tokens that end a text and, if the tokenizer has them, mark gaps."""
    tokenizer, found = subwords.opened(asset.content), {"end": end}
    for name, candidates in FILL.items():
        number = next((n for token in candidates if (n := tokenizer.token_to_id(token)) is not None), None)
        if number is not None:
            found[name] = number
    return found
