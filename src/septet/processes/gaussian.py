"""Gaussian generation: one normal distribution of the latents per label, fitted in closed form. With a variational
codec, this is a VAE whose prior is fitted to the data.

Shapes: B batch, N sites, C channels, F = N * C numbers, L labels, M symbols of a prompt, R rank.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..contracts import Context, Prepared, Process, State
from ..space import Known, Refusal, Space
from .streams import normal

LABELS = "Gaussian: takes labels or attributes as prompts, neither free text nor content; choose another process"


class Gaussian(Process):
    """`labels` are the prepared prompts (Context.symbols_BM), each with a Gaussian; [[]] means a single Gaussian. For a
    prompt with symbol 0, an attribute that is not given, samples come from the mixture of all matching labels, weighted
    by their shares of the data. `rank` None keeps full covariances; a number keeps that many principal directions and
    the rest as a diagonal.

    It has no players: `fit_to` computes everything in closed form, without gradients.
    """

    players = ()
    averaged = ()
    supports = frozenset({"mask"})
    FULL = 512  # most numbers for which the covariance is full by default
    mean_LF: Tensor
    factor_LFR: Tensor
    deviation_LF: Tensor
    share_L: Tensor
    labels_LM: Tensor

    def __init__(self, space: Space, labels: list[list[int]], rank: int | None = None):
        super().__init__()
        if space.channels is None:
            raise Refusal(f"Gaussian: needs real channels, {space} holds symbols; use a variational codec")
        if not labels or len({len(label) for label in labels}) != 1:
            raise Refusal(f"labels={labels!r}: expected at least one, all of the same length")
        numbers = space.sites * space.channels
        if rank is not None and not 1 <= rank <= numbers:
            raise Refusal(f"rank={rank}: expected 1 to {numbers}, the numbers in the latents")
        self.space, self.rank = space, rank
        L = len(labels)
        self.register_buffer("labels_LM", torch.tensor(labels, dtype=torch.int64), persistent=False)
        self.register_buffer("mean_LF", torch.zeros(L, numbers))
        self.register_buffer("factor_LFR", torch.eye(numbers).repeat(L, 1, 1)[..., : rank or numbers])
        self.register_buffer("deviation_LF", torch.full((L, numbers), 0.0 if rank is None else 1.0))
        self.register_buffer("share_L", torch.full((L,), 1 / L))

    @classmethod
    def tiny(cls) -> "Gaussian":
        return cls(Space((4,), channels=2), [[1, 1], [1, 2], [2, 1]])

    @classmethod
    def fitted(cls, space: Space, latents: Tensor, symbols_BM: Prepared, rank: int | None = None) -> "Gaussian":
        """Fits one Gaussian per label in `symbols_BM`; with more than FULL numbers, `rank` is 64 by default."""
        labels = different(symbols_BM)
        numbers = space.sites * (space.channels or 1)
        process = cls(space, labels, rank if rank or numbers <= cls.FULL else 64)
        process.fit_to(latents, symbols_BM)
        return process

    @torch.no_grad()
    def fit_to(self, latents: Tensor, symbols_BM: Prepared) -> None:
        """Computes mean, covariance and share of each label. The variance of all data counts as one more observation
        per label, so that labels with few data have covariances of full rank."""
        if isinstance(symbols_BM, dict):
            raise Refusal(LABELS)
        x_BF = latents.flatten(1).double()
        around = x_BF.var(0, correction=0).clamp(min=1e-6)
        for i, label in enumerate(self.labels_LM):
            mine = x_BF[(symbols_BM == label.to(symbols_BM.device)).all(1)]
            if not len(mine):
                raise Refusal(f"label {label.tolist()}: no item of the data has it; remove it from labels")
            mean = mine.mean(0)
            # the mode under an inverse-Wishart prior of one observation, up to its normalisation (Murphy 2012, 4.6.2)
            covariance = ((mine - mean).T @ (mine - mean) + around.diag()) / (len(mine) + 1)
            self.share_L[i], self.mean_LF[i] = len(mine) / len(x_BF), mean
            if (R := self.rank) is None:
                self.factor_LFR[i] = torch.linalg.cholesky(covariance)
                continue
            heights, directions = torch.linalg.eigh(covariance)  # ascending
            factor = directions[:, -R:] * heights[-R:].clamp(min=0).sqrt()
            self.factor_LFR[i] = factor
            self.deviation_LF[i] = (covariance.diag() - factor.square().sum(1)).clamp(min=0).sqrt()

    def loss(self, latents: Tensor, context: Context, player: str, progress: float):
        """Negative log-likelihood in nats per number, without gradients, to compare models."""
        scores = self._chances(context, len(latents)).log() + self._densities(latents.flatten(1).double())
        return -(scores.logsumexp(1).mean() / latents[0].numel()).float(), {}

    def validation(self, latents: Tensor, context: Context) -> dict[str, Tensor]:
        loss, _ = self.loss(latents, context, "", 1.0)
        return {"loss": loss, "weight": torch.tensor(float(len(latents)))}

    def _chances(self, context: Context, batch: int) -> Tensor:
        """(B, L) probability of each label given the prompts."""
        asked, device = context.symbols_BM, self.mean_LF.device
        if asked is None and context.width:
            raise Refusal(LABELS)
        if asked is None or not asked.shape[1]:
            asked = torch.zeros(batch, self.labels_LM.shape[1], dtype=torch.int64)
        asked = asked.to(device)
        fits = ((asked[:, None] == 0) | (asked[:, None] == self.labels_LM)).all(2)
        if not bool(fits.any(1).all()):
            row = asked[~fits.any(1)][0].tolist()
            raise Refusal(f"attributes {row}: no training item has this combination; give fewer of them")
        chances = fits * self.share_L.double()
        return chances / chances.sum(1, keepdim=True)

    def _covariance(self, label: int) -> Tensor:
        factor = self.factor_LFR[label].double()
        return factor @ factor.T + self.deviation_LF[label].double().square().diag()

    def _densities(self, x_BF: Tensor, index: Tensor | None = None) -> Tensor:
        """(B, L) log densities of rows under each label's Gaussian, only of the numbers at `index` if given."""
        columns = []
        for label in range(len(self.labels_LM)):
            mean, covariance = self.mean_LF[label].double(), self._covariance(label)
            if index is not None:
                mean, covariance = mean[index], covariance[index][:, index]
            root = torch.linalg.cholesky(covariance)
            z = torch.linalg.solve_triangular(root, (x_BF - mean).T, upper=False)
            constant = root.diag().log().sum() + len(mean) * math.log(2 * math.pi) / 2
            columns.append(-z.square().sum(0) / 2 - constant)
        return torch.stack(columns, 1)

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """(B, 1 + R) for full covariances, else (B, 1 + R + F): for the label, the directions, the diagonal."""
        F, R = self.factor_LFR.shape[1:]
        return normal(seeds, (1 + R + (F if self.rank is not None else 0),))

    @torch.no_grad()
    def draws(self, noise: Tensor, context: Context, known: Known | None = None) -> Iterator[State]:
        self.check_known(known)
        noise = noise.to(self.mean_LF.device)
        chances, R = self._chances(context, len(noise)), self.factor_LFR.shape[2]
        where, values = None, None
        if known is not None and known.values is not None and known.where_BN is not None:
            where = known.where_BN.repeat_interleave(self.space.channels or 1, 1).to(noise.device)
            values = known.values.flatten(1).to(noise.device).double()
            for i in range(len(noise)):
                index = where[i].nonzero()[:, 0]  # Bayes: the label's probability given the known numbers
                chances[i] = (chances[i].log() + self._densities(values[i : i + 1, index], index)[0]).softmax(0)
        height = torch.special.ndtr(noise[:, 0].double())[:, None]
        label = torch.searchsorted(chances.cumsum(1), height, right=True)[:, 0].clamp(max=chances.shape[1] - 1)
        x = self.mean_LF[label] + (self.factor_LFR[label] @ noise[:, 1 : R + 1, None])[..., 0]
        if self.rank is not None:
            x = x + self.deviation_LF[label] * noise[:, R + 1 :]
        if where is not None and values is not None:
            x = torch.stack([self._given(*row) for row in zip(x, values, where, label.tolist(), strict=True)])
        latents = x.view(len(x), self.space.sites, -1)
        yield State(0, 1, latents, latents)

    def _given(self, x_F: Tensor, values_F: Tensor, where_F: Tensor, label: int) -> Tensor:
        """Converts a sample of the joint distribution to one of the conditional distribution: x + S_.k S_kk^-1 (v_k -
        x_k) (Matheron's rule, Journel & Huijbregts 1978)."""
        if not bool(where_F.any()):
            return x_F
        covariance, x = self._covariance(label), x_F.double()
        weights = torch.linalg.solve(covariance[where_F][:, where_F], (values_F - x)[where_F])
        return torch.where(where_F, values_F, x + covariance[:, where_F] @ weights).to(x_F.dtype)


def different(symbols_BM: Prepared) -> list[list[int]]:
    """The distinct labels among prepared prompts."""
    if isinstance(symbols_BM, dict):
        raise Refusal(LABELS)
    return symbols_BM.unique(dim=0).tolist() if symbols_BM.shape[1] else [[]]
