"""The variational autoencoder (VAE): encodes data to real latents with a standard normal prior.

Shapes: B batch, N sites, C latent channels, K samples; _ stands for the axes of the data's grid, then its channels.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.convolution import to_grid, to_sites
from ..contracts import Codec, Learner
from ..space import Known, Refusal, Space
from .convolutional import Decoder, Encoder, Pyramid
from .distances import Squares
from .grids import alpha_by_channels, checked_kind, known_sites, numbers, restored

LIKELIHOODS = ("gaussian", "bernoulli")


class Variational(Codec, Learner):
    """Encodes (B, *shape, channels) to (B, N, latent_channels) on a grid `down` times coarser, or with `vector` to one
    site with a global receptive field (Kingma & Welling 2014). `values`: "bytes" (uint8) or "reals"; with `alpha`, the
    four channels are RGBA. `down` and `stem` are as in Pyramid.

    likelihood "gaussian": one output variance, set to its optimum (Rybkin et al. 2021); `distance` replaces the mean
    squared error. "bernoulli": each number is the probability of a one; bytes are binarised at random at every use.
    The weight of the KL divergence rises to `kl_weight` over the first `warmup` of training (a fraction), and each
    channel has `free_nats` (Kingma et al. 2016). Loss: nats per number of the data.
    """

    version = 2
    scale: Tensor
    variance: Tensor

    LEAST_VARIANCE = math.exp(-12)  # of the output, if the reconstruction becomes exact

    def __init__(
        self,
        shape: tuple[int, ...],
        channels: int = 4,
        latent_channels: int = 4,
        width: int = 32,
        down: int | Sequence[int] = 4,
        stem: int | Sequence[int] = 2,
        blocks: int = 1,
        decoder_blocks: int | None = None,
        vector: bool = False,
        hidden: int = 256,
        values: str = "bytes",
        likelihood: str = "gaussian",
        distance: nn.Module | None = None,
        kl_weight: float = 1.0,
        warmup: float = 0.1,
        free_nats: float = 0.0,
        alpha: bool = False,
    ):
        super().__init__()
        checked_kind(values, channels, alpha)
        if likelihood not in LIKELIHOODS:
            raise Refusal(f"likelihood={likelihood!r}: expected 'gaussian' or 'bernoulli'")
        if likelihood == "bernoulli" and distance is not None:
            raise Refusal("likelihood='bernoulli' has its own reconstruction loss; leave out distance=")
        down_path = Pyramid(tuple(shape), channels, width, blocks, down, stem)
        up_path = Pyramid(tuple(shape), channels, width, decoder_blocks or blocks, down, stem)
        self.space = Space((1,) if vector else down_path.coarse, channels=latent_channels)
        make_encoder, make_decoder = (_to_vector, _from_vector) if vector else (_to_sites, _from_sites)
        self.encoder = make_encoder(down_path, 2 * latent_channels, hidden)
        self.decoder = make_decoder(up_path, latent_channels, hidden)
        self.shape, self.channels, self.alpha = tuple(shape), channels, alpha
        self.values, self.likelihood, self.distance = values, likelihood, distance or Squares()
        self.kl_weight, self.warmup, self.free_nats = kl_weight, warmup, free_nats
        self.register_buffer("scale", torch.ones(latent_channels))  # encode() multiplies latents by it
        self.register_buffer("variance", torch.ones(()))  # of the Gaussian output

    @classmethod
    def tiny(cls) -> "Variational":
        return cls((8, 8), width=8, latent_channels=3)

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], version: int) -> dict[str, Any]:
        return alpha_by_channels(arguments) if version == 1 else super().upgrade(arguments, version)

    def encode(self, data: Any) -> Tensor:
        """The mean latents."""
        return self.encode_distribution(data)[0]

    def encode_distribution(self, data: Any) -> tuple[Tensor, Tensor]:
        """(B, N, C) mean and standard deviation of the latents."""
        mean, log_deviation = self.posterior(self._entered(data))
        return mean * self.scale, log_deviation.exp() * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        x = self.reconstruction(latents / self.scale)
        if self.likelihood == "gaussian":
            return restored(x, self.values, self.alpha)
        chance = torch.sigmoid(x)
        return restored(chance * 2 - 1 if self.values == "bytes" else chance, self.values, self.alpha)

    def encode_known(self, given: Any, where: Any = None) -> Known:
        return known_sites(self, given, where)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Any]) -> None:
        """Sets, from data, the scale with which latents have unit standard deviation in each channel, and the output
        variance."""
        count, total, square, error = 0, torch.zeros_like(self.scale), torch.zeros_like(self.scale), 0.0
        for data in batches:
            x = self._entered(data)
            mean, log_deviation = self.posterior(x)
            spread = log_deviation.exp().square()
            total, square = total + mean.mean(1).sum(0), square + (mean.square() + spread).mean(1).sum(0)
            drawn = mean + spread.sqrt() * torch.randn(mean.shape).to(mean.device)
            error, count = error + self.distance(self.reconstruction(drawn), x).sum(), count + len(x)
        if count == 0:
            raise Refusal("calibrate: no data; expected at least one batch")
        mean = total / count
        self.scale.copy_((square / count - mean.square()).clamp(min=1e-8).rsqrt())
        self.variance.copy_((torch.as_tensor(error) / count).clamp(min=self.LEAST_VARIANCE))

    def forward(self, batch: dict[str, Any], player: str, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        x = self._drawn(self._entered(batch["data"]))
        mean, log_deviation = self.posterior(x)
        latents = mean + log_deviation.exp() * torch.randn(mean.shape).to(mean.device)
        nats = self.reconstruction_nats(self.reconstruction(latents), x).mean()
        kl_BNC = (mean.square() + (2 * log_deviation).exp() - 1) / 2 - log_deviation  # Kingma & Welling 2014, app. B
        kl_C = kl_BNC.mean(0).sum(0)
        weight = self.kl_weight * (min(1.0, progress / self.warmup) if self.warmup else 1.0)
        total = (nats + weight * kl_C.clamp(min=self.free_nats).sum()) / x[0].numel()
        return total, {"reconstruction_nats": nats.detach(), "kl_nats": kl_C.sum().detach()}

    def validation(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        total, _ = self(batch, "model", 1.0)
        return {"loss": total, "weight": torch.tensor(float(len(batch["data"])))}

    def posterior(self, x_B_: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C) mean and logarithm of the standard deviation, without `scale`."""
        mean, log_deviation = to_sites(self.encoder(x_B_)).float().chunk(2, dim=-1)
        return mean, log_deviation.clamp(-8, 4)

    def reconstruction(self, latents_BNC: Tensor) -> Tensor:
        """(B, *shape, channels): means of the Gaussian, or logits of the Bernoulli."""
        return self.decoder(to_grid(latents_BNC, self.space.shape)).float()

    def reconstruction_nats(self, drawn_B_: Tensor, x_B_: Tensor) -> Tensor:
        """(B,): -log p(x | latents)."""
        if self.likelihood == "bernoulli":
            return (F.softplus(drawn_B_) - drawn_B_ * x_B_).flatten(1).sum(1)
        error_B = self.distance(drawn_B_, x_B_)
        variance = self.variance
        if self.training:  # the batch's optimum; detached, it leaves the gradient of D / 2 ln(error) (Rybkin et al.)
            variance = error_B.detach().mean().clamp(min=self.LEAST_VARIANCE)
            self.variance.lerp_(variance, 0.1)
        return x_B_[0].numel() / 2 * (torch.log(2 * math.pi * variance) + error_B / variance)

    def _entered(self, data: Any) -> Tensor:
        x = numbers(data, self.values, self.shape, self.channels, self.alpha).to(self.scale.device)
        return (x + 1) / 2 if self.likelihood == "bernoulli" and self.values == "bytes" else x

    def _drawn(self, x_B_: Tensor) -> Tensor:
        return torch.bernoulli(x_B_) if self.likelihood == "bernoulli" and self.values == "bytes" else x_B_


@torch.no_grad()
def bound(codec: Variational, data: Any, samples: int = 500, seed: int = 0, rows: int = 10) -> Tensor:
    """(B,) nats: the importance-weighted upper bound on -log p(data), tighter with more samples (Burda et al. 2016,
    eq. 8), computed for `rows` data at a time. Raises Refusal for bytes other than 0 and 255 with a Bernoulli
    likelihood, and for a `distance` that is not a density."""
    if codec.likelihood == "gaussian" and not isinstance(codec.distance, Squares):
        raise Refusal(f"distance={type(codec.distance).__name__}: the bound is only defined for Squares, a density")
    codec.eval()
    stream, bounds = torch.Generator().manual_seed(seed), []
    for begin in range(0, len(data), rows):
        x = codec._entered(data[begin : begin + rows])
        if codec.likelihood == "bernoulli" and not bool(((x == 0) | (x == 1)).all()):
            raise Refusal("bound: a Bernoulli likelihood needs data of zeros and ones; binarise them first")
        mean, log_deviation = codec.posterior(x)
        noise_KBNC = torch.randn(samples, *mean.shape, generator=stream).to(mean.device)
        latents_KBNC = mean + log_deviation.exp() * noise_KBNC
        drawn = codec.reconstruction(latents_KBNC.flatten(0, 1))
        nats_KB = codec.reconstruction_nats(drawn, x.repeat(samples, *[1] * (x.dim() - 1))).view(samples, -1)
        ratio_KB = ((noise_KBNC.square() - latents_KBNC.square()) / 2 + log_deviation).sum((-1, -2))  # ln p(z) / q(z)
        bounds.append(math.log(samples) - torch.logsumexp(ratio_KB - nats_KB, dim=0))
    return torch.cat(bounds)


def _to_sites(pyramid: Pyramid, leaving: int, hidden: int) -> nn.Module:
    return Encoder(pyramid, leaving)


def _from_sites(pyramid: Pyramid, entering: int, hidden: int) -> nn.Module:
    return Decoder(pyramid, entering)


def _to_vector(pyramid: Pyramid, leaving: int, hidden: int) -> nn.Module:
    """An encoder with linear layers that map its grid to one site."""
    width = pyramid.widths[-1]
    gather = [nn.SiLU(), nn.Flatten(), nn.Linear(width * math.prod(pyramid.coarse), hidden), nn.SiLU()]
    return nn.Sequential(Encoder(pyramid, width), *gather, nn.Linear(hidden, leaving), nn.Unflatten(1, (-1, 1)))


def _from_vector(pyramid: Pyramid, entering: int, hidden: int) -> nn.Module:
    """A decoder with linear layers that map one site to its grid."""
    width = pyramid.widths[-1]
    spread = [nn.Linear(entering, hidden), nn.SiLU(), nn.Linear(hidden, width * math.prod(pyramid.coarse))]
    return nn.Sequential(nn.Flatten(), *spread, nn.Unflatten(1, (width, *pyramid.coarse)), Decoder(pyramid, width))
