"""Content as a prompt: prepared by name, composed, and added to the sites that it is aligned with.

Over 250 lines because each form of content meets each process.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from septet.backbones.convolution import Generative, Judge
from septet.backbones.transformer import Transformer
from septet.backbones.unet import UNet
from septet.codecs.patches import Patches
from septet.codecs.symbols import Symbols
from septet.conditioners.attributes import Labels
from septet.conditioners.content import Content
from septet.conditioners.dropout import dropped
from septet.conditioners.several import Several
from septet.conditioners.text import Text
from septet.contracts import Context, Places, Process
from septet.generator import Generator
from septet.modalities.image import Image
from septet.modalities.text import Text as Prose
from septet.part import assets, build, describe
from septet.processes.autoregressive import Autoregressive
from septet.processes.critics import MLPGenerator
from septet.processes.flow import Flow
from septet.processes.gaussian import Gaussian
from septet.processes.guidance import Guidance, doubled
from septet.processes.masked import Masked
from septet.processes.permuted import Permuted
from septet.space import Known, Refusal, Space
from septet.storage.references import find_part


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 4), dtype=np.uint8)


def disturbed(module: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return module.eval()


def several(form: str = "tokens") -> Several:
    style = Content(32, Image(8), Patches(8, 4, 4), form, shape=(4, 4))
    lyrics = Content(32, Prose(), Symbols(16, "characters", "abc "), encoder=Transformer(16, 1, 2))
    return disturbed(Several({"text": Text.tiny(), "lyrics": lyrics, "style": style}))


PROMPTS: list[Any] = [
    None,
    "a red apple",
    {"text": "bell off", "style": picture(0)},
    {"lyrics": "abc abc abc", "style": picture(1)},
    {"text": "a green pear a red apple a bell", "lyrics": "a"},
]


@pytest.mark.parametrize("form", ["tokens", "aligned", "vector"])
def test_a_prompt_means_the_same_in_any_batch(form: str):
    conditioner = several(form)
    together = conditioner(conditioner.prepare(PROMPTS))
    backbone = disturbed(Transformer(32, 1, 2))
    places, sites = Places(Space((4, 4), channels=1).coordinates()), torch.zeros(1, 16, 32)
    for k, prompt in enumerate(PROMPTS):
        one, other = (c for c in (conditioner(conditioner.prepare([prompt])), together.rows([k])))
        heard, among = (backbone(sites, places, context) for context in (one, other))
        assert torch.allclose(heard, among, atol=1e-5), prompt
        assert one.vector_BD is not None and other.vector_BD is not None
        assert torch.allclose(one.vector_BD, other.vector_BD, atol=1e-5)


def test_it_is_rebuilt_from_its_description_and_its_codec_is_not_trained():
    conditioner = several()
    files = assets(conditioner)
    again = build(describe(conditioner), find_part, lambda name: files[name].content).eval()
    again.load_state_dict(conditioner.state_dict())
    one, other = (c(c.prepare(PROMPTS)) for c in (conditioner, again))
    assert torch.equal(one.tokens_BMD, other.tokens_BMD)
    learned = Content(8, Image(8), find_part("codecs.Quantised").tiny())  # pyright: ignore
    assert not any(p.requires_grad for p in learned.codec.parameters())
    assert learned.prepare([picture(0), None]).tolist()[1] == [0] * learned.codec.space.sites


def test_names_are_kept_apart_and_others_refused():
    conditioner = several()
    assert set(conditioner.contents) == {"lyrics", "style"} and conditioner.takes_prompts
    assert conditioner.named({"colour": "red", "style": 1}) == {"style": 1, "text": {"colour": "red"}}
    assert conditioner.unseen({"text": "a zeppelin", "style": picture(0)}) == ["zeppelin"]
    assert conditioner.unread({"lyrics": "abc abc abc abc ab cab"}) == ["ab", "cab"]
    for prompt in ({"stile": picture(0)}, {"text": "a", "colour": "red"}, 3):
        with pytest.raises(Refusal, match="expected"):
            conditioner.prepare([prompt])  # pyright: ignore
    alone = Several({"style": Content.tiny()})
    assert alone.accepted(["a hat", {"text": "a hat", "style": 1}]) == [None, {"style": 1}]


def test_a_share_of_the_prompts_and_of_each_part_is_left_out():
    conditioner = several()
    prepared = conditioner.prepare([PROMPTS[2]] * 4000)
    kept = {name: (t == prepared[name]).flatten(1).all(1) for name, t in dropped(prepared, conditioner, 0.3).items()}  # pyright: ignore
    for name in ("text", "style"):
        assert abs(float(kept[name].float().mean()) - 0.49) < 0.04
    assert abs(float((~kept["text"] & ~kept["style"]).float().mean()) - (0.3 + 0.7 * 0.09)) < 0.04
    silent, nothing = dropped(prepared, conditioner, 1.0), conditioner(conditioner.nothing(1))
    assert torch.allclose(conditioner(silent).vector_BD[:1], nothing.vector_BD, atol=1e-6)


def aligned(shape: tuple[int, ...], sites: tuple[int, ...], axes: tuple[int, ...] | None = None) -> Tensor:
    """What content of a grid of `sites`, the k-th site saying k, is on a grid of `shape`."""
    content = Content(1, Image(8), Patches(8, 4, 4), "aligned", shape=(2, 2))
    content.codec.space, content.shape = Space(sites, channels=1), shape
    content.axes = tuple(range(len(sites))) if axes is None else axes
    return content._aligned(torch.arange(float(np.prod(sites))).view(1, -1, 1)).view(shape)


def test_content_lies_along_the_axes_of_what_is_drawn():
    first_frame = aligned((3, 2, 2), (2, 2), (1, 2))
    assert first_frame.tolist() == [[[0, 1], [2, 3]]] * 3
    speech = aligned((2, 2, 2), (4,), (0,))
    assert speech.flatten(1).tolist() == [[0.5] * 4, [2.5] * 4]
    finer = aligned((4, 2), (2, 2))
    assert finer.tolist() == [[0, 1], [0, 1], [2, 3], [2, 3]]
    for shape, axes in (((2, 2), (1, 0)), ((2,), None), (None, None), ((2, 2, 2), (0, 3))):
        with pytest.raises(Refusal, match="aligned content needs the shape"):
            Content(1, Image(8), Patches(8, 4, 4), "aligned", shape=shape, axes=axes)


ALIGNED = Context(aligned_BND=torch.linspace(-1, 1, 2 * 16 * 32).view(2, 16, 32))


@pytest.mark.parametrize("kind", [Transformer, UNet])
def test_every_backbone_hears_what_is_aligned_with_its_sites(kind: Any):
    backbone, places = disturbed(kind.tiny()), Places(Space((4, 4), channels=1).coordinates())
    x = torch.zeros(2, 16, 32)
    told, untold = (backbone(x, places, context) for context in (ALIGNED, Context()))
    assert (told - untold).abs().amax((1, 2)).min() > 1e-3
    with pytest.raises(Refusal, match="expected that of the sites"):
        backbone(x, places, Context(aligned_BND=torch.zeros(2, 9, 32)))


def test_both_players_of_a_gan_hear_it_or_refuse():
    space, noise, data = Space((4, 4), channels=3), torch.zeros(2, 8), torch.zeros(2, 16, 3)
    for kind, given in ((Generative, noise), (Judge, data)):
        extra = {"noise_size": 8} if kind is Generative else {}
        network = disturbed(kind(space, width=8, stages=1, aligned_width=32, **extra))
        told, other = (network(given, context) for context in (ALIGNED, ALIGNED.rows([1, 0])))
        assert (told - other).abs().max() > 1e-3
        with pytest.raises(Refusal, match="got none"):
            network(given, Context())
        with pytest.raises(Refusal, match="got some"):
            kind(space, width=8, stages=1, **extra)(given, ALIGNED)
    with pytest.raises(Refusal, match="without a grid"):
        MLPGenerator(space, 8)(noise, ALIGNED)
    with pytest.raises(Refusal, match="neither free text nor content"):
        Gaussian.tiny().loss(torch.zeros(2, 4, 2), ALIGNED, "", 1.0)


def symbols_process(kind: str) -> Process:
    grid, row = Space((4, 4), symbols=6), Space((16,), symbols=6)
    network = Transformer(32, 2, 2)
    made: dict[str, Process] = {
        "permuted": Permuted(grid, network, fill=0.5),
        "in a row": Autoregressive(row, network),
        "without a start": Autoregressive(Space((16,), symbols=6, markers={"end": 5}), network, start=False),
        "masked": Masked(grid, network),
    }
    return disturbed(made[kind])


@pytest.mark.parametrize("kind", ["permuted", "in a row", "without a start"])
def test_a_draw_symbol_by_symbol_hears_at_each_site_what_training_does(kind: str):
    process: Any = symbols_process(kind)
    latents = process.sample(process.noise([1, 2]), ALIGNED, temperature=0.0)
    if process.start is None:  # it begins after an end, which stands at the first site
        latents = torch.cat([torch.full((2, 1), 5), latents], 1)
    begin = int(process.start is None)
    told, untold = (process.predict(latents, context)[:, begin:] for context in (ALIGNED, Context()))
    drawn = latents[:, begin:]
    assert torch.equal(told[drawn >= 0].argmax(-1), drawn[drawn >= 0])
    assert (told - untold).abs().max() > 1e-3


def test_around_a_known_region_sites_keep_what_is_aligned_with_them():
    process: Any = symbols_process("permuted")
    where = (torch.arange(16) >= 10).expand(2, -1)
    known = Known(torch.full((2, 16), 2), where)
    latents = process.sample(process.noise([1, 2]), ALIGNED, known, temperature=0.0)
    order = (~where).long().argsort(dim=1, stable=True)
    scores = process._score(latents.gather(1, order), order, ALIGNED)
    assert torch.equal(scores[:, 6:].argmax(-1), latents[:, :10])


def test_a_masked_process_hears_it_at_every_site():
    process: Any = symbols_process("masked")
    latents, hidden = torch.zeros(2, 16, dtype=torch.int64), torch.zeros(2, 16, dtype=torch.bool)
    told, untold = (process.predict(latents, hidden, context) for context in (ALIGNED, Context()))
    assert (told - untold).abs().amax(-1).min() > 1e-4


def test_a_draw_past_what_is_aligned_and_rows_arranged_anew_are_refused():
    process: Any = symbols_process("in a row")
    with pytest.raises(Refusal, match="aligned with 16 tokens"):
        process.sample(process.noise([1, 2]), ALIGNED, length=17)
    with pytest.raises(Refusal, match="models that fill gaps, which reorder tokens"):
        Autoregressive.tiny().loss(torch.zeros(2, 16, dtype=torch.int64), ALIGNED, "model", 0.5)


def test_contexts_are_joined_whatever_one_of_them_lacks():
    one = Context(torch.ones(1, 2, 4), vector_BD=torch.ones(1, 4), aligned_BND=torch.ones(1, 3, 4))
    both = one.joined(Context(torch.ones(2, 3, 4)))
    assert both.valid_BM is not None and both.valid_BM.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert both.vector_BD is not None and both.vector_BD.sum(1).tolist() == [4, 0, 0]
    assert both.aligned_BND is not None and both.aligned_BND.sum((1, 2)).tolist() == [12, 0, 0]


def test_guidance_compares_with_no_content():
    conditioner = several("aligned")
    context = conditioner(conditioner.prepare([PROMPTS[2]]))
    both = doubled(Guidance(2.0, conditioner(conditioner.nothing(1))), context)
    assert both.aligned_BND is not None and both.aligned_BND[0].abs().max() > 0 and not both.aligned_BND[1].any()


def test_several_parts_of_labels_alone_are_labels():
    both = Several({"colour": Labels(8, ["red", "blue"]), "size": Labels(8, ["small", "large"])})
    context = both(both.prepare([{"colour": "blue", "size": "small"}, "red"]))
    assert context.symbols_BM is not None and context.symbols_BM.tolist()[0] == [2, 1]


def test_a_shared_codec_and_two_files_of_one_name_are_refused():
    codec = Patches(8, 4, 4)
    flow = Flow(codec.space, Transformer(32, 1, 2, modulated=True))
    with pytest.raises(Refusal, match="give it a copy"):
        Generator(Image(8), codec, flow, Several({"style": Content(32, Image(8), codec)}))
    two: dict[str, Any] = {"text": Text.tiny(), "lyrics": Text.learned(32, ["la la"], 1, 16)}
    with pytest.raises(Refusal, match=r"two different files called prompt_tokenizer.json"):
        Generator(Image(8), codec, flow, Several(two))


def test_text_reads_its_longest_prompts_and_says_what_it_leaves_out(tmp_path: Path):
    long = " ".join(["a red apple"] * 12)
    assert Text.learned(32, [long], 1, 16).length == 36 and not Text.learned(32, [long], 1, 16).unread(long)
    text = Text.learned(32, [long * 3], 1, 16)
    assert text.length == Text.LONG
    assert text.unread(" ".join(["red"] * 64 + ["apple", "apple"])) == ["apple", "apple"]
    assert Text.tiny().length == Text.SHORT and Text.tiny().unread("bell") == []
