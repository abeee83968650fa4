"""Sections of the audit page about a model's internals, by technology."""

from collections.abc import Iterator

from ...codecs.patches import Patches
from ...processes.adversarial import Adversarial
from ...processes.autoregressive import Autoregressive
from ...processes.flow import Flow
from ...processes.gaussian import Gaussian
from ...processes.masked import Masked
from ..audited import Audited
from ..page import Section
from . import codec, diffusion, gan, gpt, masked, prior

__all__ = ["views"]

BY_PROCESS = {
    Autoregressive: gpt.view,
    Masked: masked.view,
    Flow: diffusion.view,
    Adversarial: gan.view,
    Gaussian: prior.view,
}


def views(audited: Audited) -> Iterator[Section]:
    """Yields sections for the model's process, and for its codec if that was learned. Skips unknown processes."""
    for kind, view in BY_PROCESS.items():
        if isinstance(audited.model.process, kind):
            yield from view(audited)
    if any(True for _ in audited.model.codec.parameters()) and not isinstance(audited.model.codec, Patches):
        yield from codec.view(audited)
