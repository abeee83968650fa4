"""A classifier of labels on frozen features, and shares of labels that are corrected for its errors.

Shapes: n items, F features, V values of a label, M bootstrap samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import Modality
from ..space import Refusal

FEWEST = 5  # values with fewer training items are omitted
FOLDS = 5  # for cross-validation on the training data, if there are few held-out items
ENOUGH = 50  # held-out items that suffice to estimate the classifier's errors
AXES, PULL = 64, 1e-3  # principal components of the features; weight of the L2 penalty
DRAWS = 400  # bootstrap samples
LEVEL = 0.95  # of confidence intervals


@dataclass(frozen=True)
class Share:
    """The share of a value among some items, and its confidence interval at LEVEL."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Judge:
    """A classifier with the classes `values`. `truth_n` and `told_n` are the true and predicted classes of real items
    that it was not trained on."""

    modality: Modality
    values: list[str]
    centre_F: Tensor
    axes_FA: Tensor
    weight_AV: Tensor
    bias_V: Tensor
    truth_n: np.ndarray
    told_n: np.ndarray

    @property
    def accuracy(self) -> float:
        return float((self.truth_n == self.told_n).mean())

    @property
    def guessing(self) -> float:
        """The accuracy of always predicting the most frequent value."""
        return float(np.bincount(self.truth_n).max() / len(self.truth_n))

    def read(self, data: Sequence[Any]) -> np.ndarray:
        """Predicts the class of each item, as an index of `values`."""
        return self._read(self.modality.features(data))

    def _read(self, features_nF: Tensor) -> np.ndarray:
        return ((features_nF - self.centre_F) @ self.axes_FA @ self.weight_AV + self.bias_V).argmax(1).numpy()

    def shares(self, told_n: np.ndarray, seed: int = 0) -> dict[str, Share]:
        """The shares of values among items with the predicted classes `told_n`, corrected for the errors on real items.

        Intervals cover both sources of uncertainty: a bootstrap of the real items (Efron 1979), and a Bayesian
        bootstrap of the predictions (Rubin 1981) with one pseudo-item spread over all values, so that unseen values are
        possible.
        """
        stream = np.random.Generator(np.random.Philox(seed))
        V, n, predicted = len(self.values), len(self.truth_n), len(told_n)
        pair_n = self.truth_n * V + self.told_n
        again = [np.arange(n), *(stream.integers(n, size=n) for _ in range(DRAWS))]
        tables = np.stack([np.bincount(pair_n[honest], minlength=V * V).reshape(V, V) for honest in again])
        seen = np.bincount(told_n, minlength=V)
        counts = np.concatenate([seen[None] / predicted, stream.dirichlet(seen + 1 / V, DRAWS)])
        best, *drawn = _corrected(tables, counts)
        low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
        return {v: Share(float(best[k]), float(low[k]), float(high[k])) for k, v in enumerate(self.values)}


def _corrected(errors_MVV: np.ndarray, counts_MV: np.ndarray) -> np.ndarray:
    """(M, V) maximum likelihood estimates of the true shares given the predictions, by expectation maximisation
    (Dempster et al. 1977) with the true values as latent variables."""
    V = counts_MV.shape[1]
    chance = errors_MVV + np.full((V, V), 0.5 / V) + np.eye(V) * 0.5  # a weak prior, for values with few items
    chance /= chance.sum(2, keepdims=True)
    shares_MV = np.full_like(counts_MV, 1 / V)
    for _ in range(100):
        behind = shares_MV[:, :, None] * chance
        shares_MV = (behind / behind.sum(1, keepdims=True).clip(1e-12) * counts_MV[:, None]).sum(2)
    return shares_MV


def taught(
    modality: Modality, training: Sequence[Any], labels: Sequence[str], held_out: Sequence[Any], honest: Sequence[str]
) -> Judge:
    """Trains a classifier by logistic regression on frozen features. Raises Refusal if fewer than two values have
    enough items."""
    counts = {value: list(labels).count(value) for value in dict.fromkeys(labels)}
    values = sorted(value for value, count in counts.items() if count >= FEWEST)
    if len(values) < 2:
        raise Refusal(f"fewer than two labels have at least {FEWEST} items, too few for a classifier")
    number = {value: k for k, value in enumerate(values)}
    kept = [i for i, label in enumerate(labels) if label in number]
    features = modality.features([training[i] for i in kept])
    truth = torch.tensor([number[labels[i]] for i in kept])
    whole = _fitted(modality, values, features, truth)
    known = [i for i, label in enumerate(honest) if label in number]
    if len(known) >= ENOUGH:
        predicted = whole.read([held_out[i] for i in known])
        return _with(whole, np.array([number[honest[i]] for i in known]), predicted)
    fold = torch.arange(len(truth)) % FOLDS
    predicted = np.zeros(len(truth), np.int64)
    for k in range(FOLDS):
        if len(set(truth[fold != k].tolist())) < 2:
            raise Refusal("too few items of each label to train a classifier")
        predicted[(fold == k).numpy()] = _fitted(modality, values, features[fold != k], truth[fold != k])._read(
            features[fold == k]
        )
    return _with(whole, truth.numpy(), predicted)


def _with(judge: Judge, truth_n: np.ndarray, told_n: np.ndarray) -> Judge:
    return Judge(**{**vars(judge), "truth_n": truth_n, "told_n": told_n})


def _fitted(modality: Modality, values: list[str], features_nF: Tensor, truth_n: Tensor) -> Judge:
    centre = features_nF.mean(0)
    axes = torch.linalg.svd(features_nF - centre, full_matrices=False)[2][:AXES].T.contiguous()
    x = (features_nF - centre) @ axes
    axes = axes / x.std().clamp(min=1e-6)
    x = (features_nF - centre) @ axes
    weight, bias = torch.zeros(x.shape[1], len(values)), torch.zeros(len(values))
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimiser = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        total = torch.nn.functional.cross_entropy(x @ weight + bias, truth_n) + PULL * weight.square().sum()
        total.backward()
        return float(total.detach())

    optimiser.step(loss)
    none = np.zeros(0, np.int64)
    return Judge(modality, values, centre, axes, weight.detach(), bias.detach(), none, none)
