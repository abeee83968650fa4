"""Sections about a GPT: next-token predictions, and attention maps."""

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from ...codecs.symbols import Symbols
from ...processes.autoregressive import Autoregressive
from ...storage.pictures import shown
from ..audited import Audited
from ..charts import lines
from ..losses import hear
from ..page import Section, Tile
from .attention import recorded
from .held_out import items

LENGTH = 64  # tokens of the example
PLACES, BEST = 10, 5  # positions for which predictions are shown, and predictions at each
BEFORE = 24  # characters of text shown before a prediction
SIDE = 256  # pixels of an attention map


def view(audited: Audited) -> Iterator[Section]:
    process = audited.model.process
    assert isinstance(process, Autoregressive)
    first = next(items(audited, 1), None)
    if first is None:
        return
    latents, context = first[2][:, :LENGTH], hear(audited.model, [first[1]])
    scores: list[Tensor] = []
    weights = recorded(process, lambda: scores.append(process.predict(latents, context)))
    chances_NV = scores[0][0].float().softmax(-1)
    pairs = zip(chances_NV, latents[0].tolist(), strict=True)
    nats = [(float(n), -float(chance[symbol].log())) for n, (chance, symbol) in enumerate(pairs) if symbol >= 0]
    yield Section(
        "expects",
        "Next-token predictions",
        [
            f"The loss at each token of {audited.shown}, in nats: minus the log-probability of the token, 0 if the "
            "model is certain of it. Training minimises its mean."
        ],
        chart=lines({"loss": nats}, "token", "nats"),
        table=list(_guesses(audited.model.codec, latents[0], chances_NV)),
        figures={"mean_nats": sum(y for _, y in nats) / max(1, len(nats))},
    )
    tiles = [_map(layer, f"layer {k}") for k, layer in enumerate(weights, 1)]
    seen = ["Attention of each position (row) to previous ones (columns), mean over heads; prompt tokens come first."]
    yield Section("attention", "Attention maps", seen, tiles)


def _guesses(codec, latents_N: Tensor, chances_NV: Tensor) -> Iterator[str]:
    """For text: the most likely next tokens at some positions, and the true one in brackets."""
    if not isinstance(codec, Symbols):
        return
    count = int((latents_N >= 0).sum())
    for n in torch.linspace(1, max(1, count - 1), PLACES).long().unique().tolist():
        before = codec.text_of(latents_N[:n])[-BEFORE:].replace("\n", "\u21b5")
        yield f"{before:>{BEFORE}} | {likeliest(codec, chances_NV[n], int(latents_N[n]))}"


def likeliest(codec: Symbols, chance_V: Tensor, true: int) -> str:
    """The most likely tokens at one position, and the true one in brackets."""
    best = chance_V[: codec.space.symbols].topk(min(BEST, len(chance_V)))
    likely = [f"{symbol_name(codec, int(s))} {float(c):.0%}" for c, s in zip(best.values, best.indices, strict=True)]
    return f"{'  '.join(likely)}  [{symbol_name(codec, true)}]"


def symbol_name(codec: Symbols, symbol: int) -> str:
    names = {index: name for name, index in codec.space.markers.items()}
    return f"<{names[symbol]}>" if symbol in names else repr(codec.text_of(torch.tensor([symbol])))


def _map(weights_BHNT: Tensor, caption: str) -> Tile:
    shades = weights_BHNT[0].mean(0)
    shades = 255 - (shades / shades.amax(1, keepdim=True).clamp(min=1e-9) * 255).byte()
    picture = Image.fromarray(shades.cpu().numpy()).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    return Tile(shown(picture), caption)
