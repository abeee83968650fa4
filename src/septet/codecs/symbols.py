"""Tokenises text: bytes, characters, or byte-level BPE.

Shapes: B batch, N tokens.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..contracts import Codec
from ..part import Asset
from ..space import PADDING, Known, Refusal, Space
from . import subwords

GAP = "[gap]"  # marks a gap to fill in a given text
PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that a byte-level BPE writes as themselves
OTHER = [byte for byte in range(256) if byte not in PLAIN]
BYTES = {chr(byte): byte for byte in PLAIN} | {chr(256 + n): byte for n, byte in enumerate(OTHER)}
MARKERS = ("end", "prefix", "suffix", "middle", "mask")


class Symbols(Codec):
    """Encodes text to at most `length` tokens, the end token included, and PADDING after it.

    `kind`: "bytes"; "characters", those in `characters` (others are encoded as the first); or "bpe", with a
    `tokenizer`. `markers` maps the names of special tokens that the tokenizer has to their ids, and `symbols` is the
    vocabulary size; by default, MARKERS are appended to the vocabulary.
    """

    def __init__(
        self,
        length: int,
        kind: str = "bytes",
        characters: str = "",
        tokenizer: Asset | None = None,
        markers: dict[str, int] | None = None,
        symbols: int | None = None,
    ):
        super().__init__()
        if kind not in ("bytes", "characters", "bpe"):
            raise Refusal(f"kind={kind!r}: expected 'bytes', 'characters' or 'bpe'")
        self.length, self.kind, self.characters = length, kind, characters
        self.index = {c: i for i, c in enumerate(characters)}
        self.tokenizer, plain = None, len(characters) if kind == "characters" else 256
        if kind == "bpe":
            if tokenizer is None:
                raise Refusal("kind='bpe' needs a tokenizer: give one as an Asset")
            self.tokenizer = subwords.opened(tokenizer.content)
            plain = subwords.size(self.tokenizer)
            if symbols is not None and plain > symbols:
                raise Refusal(f"its tokenizer has {plain:,} tokens, its embedding {symbols:,}; use another copy")
        own = {name: plain + i for i, name in enumerate(MARKERS)} if markers is None else markers
        if "end" not in own:
            raise Refusal(f"markers={', '.join(own)}: expected one called end, the token that ends a text")
        self.markers, self.plain = frozenset(own.values()), plain
        self.space = Space((length,), symbols=symbols or plain + (len(own) if markers is None else 0), markers=own)

    @classmethod
    def tiny(cls) -> "Symbols":
        return cls(16, "characters", "abcdefgh ")

    @classmethod
    def learned(cls, texts: Iterable[str], tokens: str | int, length: int) -> "Symbols":
        """`tokens`: "characters", "bytes", or the vocabulary size of a byte-level BPE, which is trained on `texts`."""
        if tokens == "bytes":
            return cls(length)
        if tokens == "characters":
            return cls(length, "characters", "".join(sorted(set().union(*map(set, texts)))))
        if not str(tokens).isdigit() or not 257 <= int(tokens) <= 1_000_000:
            raise Refusal(f"tokens={tokens}: expected 'characters', 'bytes', or a BPE size from 257 to 1000000")
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=int(tokens), initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(length, "bpe", tokenizer=Asset("tokenizer.json", tokenizer.to_str()))

    def of_length(self, length: int) -> "Symbols":
        """A copy of this codec with another `length`."""
        return Symbols(**{**self.__dict__["arguments"], "length": length})

    def symbols_of(self, text: str, begun: bool = True) -> Tensor:
        """int64 (n,): all tokens of a text, without the end token and not limited by `length`. With `begun`, the
        tokenizer adds its special tokens, such as one for the beginning."""
        if self.kind == "bytes":
            with subwords.refusing(f"take {text[:40]!r}"):
                content = bytearray(text.encode())
            return torch.frombuffer(content, dtype=torch.uint8).long() if content else torch.zeros(0).long()
        if self.kind == "characters":
            return torch.tensor([self.index.get(c, 0) for c in text], dtype=torch.int64)
        assert self.tokenizer is not None
        return torch.tensor(subwords.encoded(self.tokenizer, text, begun).ids, dtype=torch.int64)

    def placed(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """(n,) tokens of the whole text, and (n,) index of the character at which each begins."""
        if self.kind == "bytes":
            sizes = [len(character.encode()) for character in text]
            return self.symbols_of(text).numpy(), np.repeat(np.arange(len(text)), sizes)
        if self.tokenizer is None:
            return self.symbols_of(text).numpy(), np.arange(len(text))
        encoded = subwords.encoded(self.tokenizer, text, begun=False)
        return np.array(encoded.ids, np.int64), np.array([begin for begin, _ in encoded.offsets], np.int64)

    def unknown(self, text: str) -> list[str]:
        """Characters that are not in the vocabulary."""
        return [c for c in dict.fromkeys(text) if self.kind == "characters" and c not in self.index]

    def encode_known(self, given: str, where: None = None) -> Known:
        """A beginning to continue; or, with GAP in the text, the parts around each gap to fill."""
        spans = tuple(self.symbols_of(part) for part in given.split(GAP))
        return Known(spans=(spans,))

    def encode(self, data: Sequence[str]) -> Tensor:
        end = torch.tensor([self.space.markers["end"]])
        rows = [torch.cat([self.symbols_of(text)[: self.length - 1], end]) for text in data]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)

    def decode(self, latents: Tensor) -> list[str]:
        return [self.text_of(row) for row in latents]

    def text_of(self, row: Tensor) -> str:
        """Decodes (n,) tokens up to the end token; other special tokens and padding are skipped."""
        ended = (row == self.space.markers["end"]).nonzero()
        row = row[: int(ended[0])] if len(ended) else row
        kept = [symbol for symbol in row.tolist() if 0 <= symbol < self.plain and symbol not in self.markers]
        if self.kind == "bytes":
            return bytes(kept).decode(errors="replace")
        if self.kind == "characters":
            return "".join(self.characters[i] for i in kept)
        assert self.tokenizer is not None
        with subwords.refusing("write a text"):
            return self.tokenizer.decode(kept, skip_special_tokens=False)

    def pieces_of(self, symbols: Iterable[int]) -> list[str]:
        """The text of each token, decoded alone."""
        return [self.text_of(torch.tensor([symbol])) for symbol in symbols]

    def bytes_of(self, symbol: int) -> bytes | None:
        """The bytes of a token, which may be part of a character; b"" of a special token; None if the tokenizer is not
        byte-level."""
        if symbol in self.markers or not 0 <= symbol < self.plain:
            return b""
        if self.tokenizer is None:
            return bytes([symbol]) if self.kind == "bytes" else self.characters[symbol].encode()
        from tokenizers import decoders

        token = self.tokenizer.id_to_token(symbol)
        if token is None:
            return b""
        if symbol in self.tokenizer.get_added_tokens_decoder():
            return token.encode()
        whole = isinstance(self.tokenizer.decoder, decoders.ByteLevel) and set(token) <= set(BYTES)
        return bytes(BYTES[c] for c in token) if whole else None
