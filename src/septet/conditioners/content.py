"""Data as prompts: a picture, a drawing, a sound, another text.

Shapes: B batch, M sites of the content, C channels, D width; _ stands for the axes of a grid.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.convolution import to_grid, to_sites
from ..backbones.transformer import Transformer
from ..contracts import Codec, Conditioner, Context, Modality, Places
from ..space import PADDING, Refusal

FORMS = ("tokens", "aligned", "vector")
ROWS = 256  # data encoded at a time


class Content(Conditioner):
    """Encodes data of `modality` with a `codec` of its own, which is frozen. A prompt is a datum, or None; Several
    gives it a name.

    `form` is the field of the Context: "tokens", one per site of the content, which are attended to; "vector", their
    mean; "aligned", values added to the generated grid of `shape`. The k-th axis of aligned content is resized to axis
    `axes[k]` of the grid, and its values are repeated along the other axes: a picture aligned with a clip (T, H, W) has
    axes (1, 2), a sound has (0,). An optional `encoder` is a transformer over the sites of the content.
    """

    def __init__(
        self,
        width: int,
        modality: Modality,
        codec: Codec,
        form: str = "tokens",
        encoder: Transformer | None = None,
        shape: tuple[int, ...] | None = None,
        axes: tuple[int, ...] | None = None,
    ):
        super().__init__()
        if form not in FORMS:
            raise Refusal(f"form={form!r}: expected {', '.join(FORMS[:-1])} or {FORMS[-1]}")
        space, inner = codec.space, width if encoder is None else encoder.width
        self.modality, self.codec, self.form = modality, codec.requires_grad_(False), form
        self.length = {"tokens": space.sites, "aligned": 0, "vector": 0}[form]
        self.shape = tuple(shape or ())
        self.axes = tuple(range(len(space.shape))) if axes is None else tuple(axes)
        self._check_grid()
        symbols = 1 + (space.symbols or 0)  # 0 is padding
        self.enter = nn.Linear(space.channels, inner) if space.channels else nn.Embedding(symbols, inner)
        self.encoder, self.out = encoder, nn.Linear(inner, width, bias=False)

    @classmethod
    def tiny(cls) -> "Content":
        from ..codecs.patches import Patches
        from ..modalities.image import Image

        return cls(32, Image(8), Patches(8, 4, 4), encoder=Transformer(width=16, layers=1, heads=2))

    def _check_grid(self) -> None:
        if self.form != "aligned":
            return
        own = self.codec.space.shape
        ascending = list(self.axes) == sorted(set(self.axes)) and all(0 <= a < len(self.shape) for a in self.axes)
        if not self.shape or len(self.axes) != len(own) or not ascending:
            raise Refusal(
                f"shape={self.shape}, axes={self.axes}: aligned content needs the shape of the generated grid, and for "
                f"each of its own {len(own)} axes the index of an axis of that grid, in ascending order"
            )

    def prepare(self, prompts: Sequence[Any]) -> Tensor:
        """Discrete: int64 (B, M), symbol + 1. Real: (B, M, 1 + C), a 1 before the channels. 0 where there is no
        content."""
        rows = [k for k, datum in enumerate(prompts) if not (datum is None or (isinstance(datum, str) and not datum))]
        space, ragged = self.codec.space, self.codec.space.discrete and len(self.codec.space.shape) == 1
        with torch.no_grad():
            parts = [
                self.codec.encode([prompts[k] for k in rows[begin : begin + ROWS]]).cpu()
                for begin in range(0, len(rows), ROWS)
            ]
        M = max((part.shape[1] for part in parts), default=1) if ragged else space.sites
        if space.discrete:
            told = [F.pad(part, (0, M - part.shape[1]), value=PADDING) + 1 for part in parts]
            prepared = torch.zeros(len(prompts), M, dtype=torch.int64)
        else:
            told = [F.pad(part.float(), (1, 0), value=1.0) for part in parts]
            prepared = torch.zeros(len(prompts), M, 1 + (space.channels or 0))
        if told:
            prepared[rows] = torch.cat(told)
        return prepared

    def forward(self, prepared: Tensor) -> Context:
        discrete = self.codec.space.discrete
        valid = (prepared if discrete else prepared[..., 0]) > 0
        if len(self.codec.space.shape) == 1:  # cut padding, in steps of 4 so that there are few shapes
            longest = int(valid.sum(1).max()) if valid.numel() else 0
            prepared, valid = (t[:, : max(1, -(-longest // 4) * 4)] for t in (prepared, valid))
        x = self.enter(prepared if discrete else prepared[..., 1:])
        if self.encoder is not None:
            places = Places(self.codec.space.coordinates(x.shape[1]).to(x.device), valid.long() - 1)
            x = self.encoder(x, places, Context())
        tokens = self.out(x) * valid[..., None]
        if self.form == "aligned":
            return Context(aligned_BND=self._aligned(tokens))
        vector = tokens.sum(1) / valid.sum(1, keepdim=True).clamp(min=1)
        return Context(vector_BD=vector) if self.form == "vector" else Context(tokens, valid, vector)

    def _aligned(self, tokens_BMD: Tensor) -> Tensor:
        """(B, N, D): the content resized to the grid by area averaging."""
        own = self.codec.space
        whole = F.pad(tokens_BMD, (0, 0, 0, own.sites - tokens_BMD.shape[1]))
        grid = F.interpolate(to_grid(whole, own.shape), [self.shape[a] for a in self.axes], mode="area")
        for axis in range(len(self.shape)):
            grid = grid if axis in self.axes else grid.unsqueeze(axis + 2)
        return to_sites(grid.expand(-1, -1, *self.shape))

    def unread(self, prompt: Any) -> list[str]:
        """Words at the end of a text that the codec truncates."""
        if not isinstance(prompt, str) or not prompt:
            return []
        kept = self.codec.decode(self.codec.encode([prompt]))[0]
        return prompt[len(kept) :].split()
