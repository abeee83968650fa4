"""Prompts to Context: nothing, a label, several attributes, or free text.

Shapes: B batch, M symbols of a prompt, D width.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from .backbones.transformer import Transformer
from .codecs import subwords
from .contracts import Conditioner, Context, Places, Prompt
from .part import Asset
from .space import Refusal

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# They name nothing that could be drawn, so nobody need be told that captions lacked them. Words that turn a meaning
# round ("off", "no", "without", "under") are not among them.
FUNCTION_WORDS = frozenset(
    WORD.findall(
        "a about an and are as at be been being between by for from had has have her his i in into is it it's its me "
        "my of on onto or our she he so some such than that the their them then there these they this those to very "
        "was we were which while who whose will with you your"
    )
)


def words_of(prompt: Prompt) -> list[str]:
    """The lower-case words of a prompt, in order."""
    text = ", ".join(prompt.values()) if isinstance(prompt, dict) else prompt or ""
    return WORD.findall(text.lower())


def content_words(prompt: Prompt) -> list[str]:
    """The words of a prompt that name or describe something, each once."""
    return [word for word in dict.fromkeys(words_of(prompt)) if word not in FUNCTION_WORDS]


class Nothing(Conditioner):
    """No prompt at all."""

    @classmethod
    def tiny(cls) -> "Nothing":
        return cls()

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        for prompt in prompts:
            if prompt:
                raise Refusal(f"prompt {prompt!r}: this model was trained without prompts; leave it out")
        return torch.zeros(len(prompts), 0, dtype=torch.int64)

    def forward(self, symbols_BM: Tensor) -> Context:
        return Context()


class Attributes(Conditioner):
    """One of a few values for each of several named attributes, as a vector. Symbol 0 of each says nothing.

    Takes a dict of strings, or "name=value, name=value"; with one attribute its bare value will do.
    """

    def __init__(self, width: int, values: dict[str, list[str]]):
        super().__init__()
        if not values or not all(values.values()):
            raise Refusal(f"attributes {values!r}: give at least one attribute, each with at least one value")
        self.values = values
        tables = [nn.Embedding(len(v) + 1, width) for v in values.values()]
        for table in tables:
            nn.init.normal_(table.weight, std=0.5)
        self.tables = nn.ModuleList(tables)

    @classmethod
    def tiny(cls) -> "Attributes":
        return cls(32, {"colour": ["red", "blue"], "size": ["small", "large"]})

    @classmethod
    def learned(cls, width: int, prompts: Iterable[Prompt]) -> "Attributes":
        """The attributes and values that occur in `prompts`; plain strings become the attribute "label"."""
        values: dict[str, set[str]] = {}
        for prompt in prompts:
            for name, value in ({"label": prompt} if isinstance(prompt, str) else prompt or {}).items():
                values.setdefault(name, set()).add(value)
        return cls(width, {name: sorted(v, key=_natural) for name, v in values.items()})

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        return torch.tensor([self._row(self.parsed(prompt)) for prompt in prompts], dtype=torch.int64)

    def examples(self) -> list[Prompt]:
        if list(self.values) == ["label"]:
            return list(self.values["label"])
        most = max(map(len, self.values.values()))
        return [{name: values[k % len(values)] for name, values in self.values.items()} for k in range(most)]

    def parsed(self, prompt: Prompt) -> dict[str, str]:
        """The values that a prompt names, by attribute."""
        if not prompt or isinstance(prompt, dict):
            return prompt or {}
        if len(self.values) == 1 and "=" not in prompt:
            return {next(iter(self.values)): prompt}
        pairs = [pair.partition("=") for pair in prompt.split(",")]
        return {name.strip(): value.strip() for name, _, value in pairs}

    def _row(self, chosen: dict[str, str]) -> list[int]:
        for name, value in chosen.items():
            if name not in self.values:
                raise Refusal(f"attribute {name!r}: this model knows {', '.join(self.values)}")
            if value not in self.values[name]:
                raise Refusal(f"{name}={value!r}: this model knows {', '.join(self.values[name][:20])}")
        return [self.values[n].index(chosen[n]) + 1 if n in chosen else 0 for n in self.values]

    def forward(self, symbols_BM: Tensor) -> Context:
        vector = torch.stack([t(symbols_BM[:, i]) for i, t in enumerate(self.tables)]).sum(0)
        return Context(vector_BD=vector, symbols_BM=symbols_BM)


def _natural(value: str) -> tuple[int, str]:
    return (int(value) if value.isdigit() else -1, value)


def Labels(width: int, labels: Sequence[str]) -> Attributes:
    """One label of a few: Attributes with the single attribute "label"."""
    return Attributes(width, {"label": list(labels)})


class Text(Conditioner):
    """Free text by a small transformer over byte-level BPE subwords, trained together with the model it serves.

    Gives the tokens, and their mean as the vector. `words` are the words of the training prompts, most frequent
    first. Symbol 0 is padding, 1 stands for "nothing said".
    """

    LONGEST = 10_000  # characters of a prompt

    def __init__(self, width: int, encoder: Transformer, tokenizer: Asset, words: list[str], length: int = 24):
        super().__init__()
        self.tokenizer, self.length = subwords.opened(tokenizer.content), length
        self.words = dict.fromkeys(words)
        self.embedding = nn.Embedding(subwords.size(self.tokenizer) + 2, encoder.width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.encoder, self.out = encoder, nn.Linear(encoder.width, width, bias=False)

    @classmethod
    def tiny(cls) -> "Text":
        return cls.learned(32, ["a red apple", "a green pear", "bell off"], layers=1, inner=16)

    @classmethod
    def learned(
        cls, width: int, prompts: Iterable[Prompt], layers: int = 2, inner: int | None = None, subwords: int = 4000
    ) -> "Text":
        """An encoder whose subwords and known words are those of `prompts`."""
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        counts = Counter(word for prompt in prompts for word in words_of(prompt))
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=max(subwords, 256), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        tokenizer.train_from_iterator((w for word in sorted(counts) for w in [word] * counts[word]), trainer)
        encoder = Transformer(width=inner or width // 2, layers=layers, heads=4 if (inner or width // 2) >= 64 else 2)
        words = [word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
        return cls(width, encoder, Asset("prompt_tokenizer.json", tokenizer.to_str()), words)

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        texts = [", ".join(p.values()) if isinstance(p, dict) else p or "" for p in prompts]
        for text in texts:
            if len(text) > self.LONGEST:
                raise Refusal(f"a prompt of {len(text):,} characters: at most {self.LONGEST:,}; shorten it")
        with subwords.refusing(f"take {texts[0][:40]!r}" if texts else ""):
            rows = [encoded.ids[: self.length] for encoded in self.tokenizer.encode_batch(texts)]
        rows = [[i + 2 for i in row] if words_of(text) else [1] for row, text in zip(rows, texts, strict=True)]
        longest = max(map(len, rows), default=1)
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows], dtype=torch.int64)

    def forward(self, symbols_BM: Tensor) -> Context:
        longest = int((symbols_BM > 0).sum(1).max()) if symbols_BM.numel() else 0
        symbols_BM = symbols_BM[:, : -(-longest // 4) * 4]  # few shapes, and no column that nobody uses
        valid = symbols_BM > 0
        places = Places(torch.arange(symbols_BM.shape[1], device=symbols_BM.device)[:, None], valid.long() - 1)
        tokens = self.out(self.encoder(self.embedding(symbols_BM), places, Context()))
        weight = valid[..., None].to(tokens.dtype)
        vector = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Context(tokens_BMD=tokens, valid_BM=valid, vector_BD=vector)

    def examples(self) -> list[Prompt]:
        return [word for word in self.words if word not in FUNCTION_WORDS] or [None]

    def unseen(self, prompt: Prompt) -> list[str]:
        return [word for word in content_words(prompt) if word not in self.words]
