"""Estimates, from n samples per prompt, pass@k and how often a group of samples would have mixed scores.

A group in GRPO is a number of samples of one prompt. Its advantages are zero if all its scores are equal.
All functions are exact for k of the n samples drawn without replacement, and so without bias for k new samples.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import comb

Shares = NDArray[np.float64]
DECIMALS = 9  # scores that agree to this digit are equal, as for the diagnostics of a training (diagnostics.EQUAL)


def ladder(n: int) -> list[int]:
    """The values of k to report: 1, 2, 4, ... up to n, and n itself."""
    powers = [1 << power for power in range(n.bit_length()) if 1 << power < n]
    return [*powers, n]


def pass_at_k(right: ArrayLike, n: int, k: int) -> Shares:
    """Chance that at least one of k samples is right: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, eq. 1).

    right: c, the number of right samples among the n of each prompt, (prompts,). Needs 1 <= k <= n.
    """
    return 1 - all_among(n - np.asarray(right), n, k)


def all_among(count: ArrayLike, n: int, k: int) -> Shares:
    """Chance that k samples all belong to the `count` samples of one kind among the n: C(count, k) / C(n, k)."""
    if not 1 <= k <= n:
        raise ValueError(f"k={k} samples cannot be drawn from n={n}")
    return np.asarray(comb(count, k) / comb(n, k))


def mixed_share(scores: ArrayLike, group: int) -> Shares:
    """Chance that the scores of `group` samples of a prompt are not all equal.

    With two values, of which one occurs c times, it is 1 - C(c, g) / C(n, g) - C(n - c, g) / C(n, g).

    scores: (prompts, n) with n >= group. Returns (prompts,).
    """
    table = np.round(np.asarray(scores, float), DECIMALS)
    kinds = (np.unique(row, return_counts=True)[1] for row in table)
    return np.array([1 - all_among(counts, table.shape[1], group).sum() for counts in kinds])
