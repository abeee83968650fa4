"""Converts scores to p-values: the share of honest data, which were not trained on, that score as low."""

from dataclasses import dataclass

import numpy as np

from ..space import Refusal

COPY, CLOSE = 0.01, 0.05  # false positive rates on honest data
FEWEST = 20  # honest items needed for calibration
PLENTY = 200  # honest items above which empirical p-values are fine enough without a fitted tail


@dataclass(frozen=True)
class Verdict:
    """`word` is "new", "close" or "copy"; `nearest` is the name of the nearest training item; `distance` is the
    distance to it (for text, the share outside the longest copied span); `p` is the share of honest data that are as
    near."""

    word: str
    nearest: str
    distance: float
    p: float

    def __str__(self) -> str:
        return {"new": "new", "close": f"close to {self.nearest}", "copy": f"copy of {self.nearest}"}[self.word]


def p_values(scores_Q: np.ndarray, honest_n: np.ndarray) -> np.ndarray:
    """Conformal p-values (Vovk et al. 2005): the share of honest scores at or below each score. For scores below all of
    fewer than `PLENTY` honest ones, a power law fitted to their lower tail is extrapolated, with the exponent lowered
    by two standard deviations."""
    n = len(honest_n)
    if n < FEWEST:
        raise Refusal(f"too few held-out items to calibrate: {n}; at least {FEWEST} are needed")
    honest = np.sort(honest_n.astype(np.float64))
    p = (1 + np.searchsorted(honest, scores_Q, side="right")) / (n + 1)
    count = max(10, n // 10)
    edge = max(honest[count], 1e-300)
    if n < PLENTY and honest[0] < edge:  # no power law can be fitted to equal scores
        exponent = 1 / max(np.log(edge / honest[:count].clip(1e-300)).mean(), 1e-9)  # Hill 1975
        exponent *= 1 - 2 / np.sqrt(count)
        tail = count / n * (np.asarray(scores_Q, np.float64).clip(0) / edge) ** exponent
        p = np.where(scores_Q < honest[0], np.minimum(p, tail), p)
    return p


def word_of(p: float) -> str:
    """ "copy", "close" or "new"."""
    return "copy" if p <= COPY else "close" if p <= CLOSE else "new"
