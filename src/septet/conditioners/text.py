"""Free text as prompts.

Shapes: B batch, M subwords of a prompt, D width.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..backbones.transformer import Transformer
from ..codecs import subwords
from ..contracts import Conditioner, Context, Places, Prompt
from ..part import Asset
from ..space import Refusal
from .prompts import FUNCTION_WORDS, WORD, content_words, joined, words_of


class Text(Conditioner):
    """Encodes free text by a small transformer over byte-level BPE subwords, trained together with the model.

    The context has the tokens, and their mean as the vector. `words` are the words of the training prompts, most
    frequent first. In the prepared tensor, 0 is padding and 1 the empty prompt.
    """

    LONGEST = 10_000  # characters of a prompt
    SHORT, LONG = 24, 64  # bounds of `length` in `learned`, in subwords

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
        """An untrained encoder with a BPE tokenizer trained on `prompts`. Its maximum length is that of the longest
        prompt, from SHORT to LONG subwords."""
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        prompts = list(prompts)
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
        texts = [joined(prompt).encode(errors="replace").decode() for prompt in prompts]
        longest = max((len(encoded.ids) for encoded in tokenizer.encode_batch(texts)), default=0)
        length = min(max(longest, cls.SHORT), cls.LONG)
        return cls(width, encoder, Asset("prompt_tokenizer.json", tokenizer.to_str()), words, length)

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        texts = [joined(prompt) for prompt in prompts]
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
        symbols_BM = symbols_BM[:, : -(-longest // 4) * 4]  # cut padding, in steps of 4 so that there are few shapes
        valid = symbols_BM > 0
        places = Places(torch.arange(symbols_BM.shape[1], device=symbols_BM.device)[:, None], valid.long() - 1)
        tokens = self.out(self.encoder(self.embedding(symbols_BM), places, Context()))
        weight = valid[..., None].to(tokens.dtype)
        vector = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Context(tokens_BMD=tokens, valid_BM=valid, vector_BD=vector)

    def examples(self) -> list[Prompt]:
        return [word for word in self.words if word not in FUNCTION_WORDS] or [None]

    def unread(self, prompt: Prompt) -> list[str]:
        text = joined(prompt)
        left_out = subwords.encoded(self.tokenizer, text).offsets[self.length :]
        return [word[0] for word in WORD.finditer(text) if left_out and word.end() > left_out[0][0]]

    def unseen(self, prompt: Prompt) -> list[str]:
        return [word for word in content_words(prompt) if word not in self.words]
