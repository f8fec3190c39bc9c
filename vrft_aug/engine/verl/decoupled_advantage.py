"""Computes advantages from each reward of the objective by itself: GDPO (arXiv 2601.05242), for verl's trainer.

Per reward k: A_k = (w_k r_k - mean) / standard deviation, over the samples of a prompt, after its `clip`. The sum of
|w_k| A_k over the rewards of the prompt's task is whitened over the tokens of the batch, as in verl's own function.
GRPO adds up the w_k r_k first, so that the reward with the largest spread decides the advantage.

verl 0.9.1 has GDPO, but its trainer hands no rewards to it (trainer_base.py:1743), and it has one list of weights for
all tasks. So a function of ours takes its place in verl's registry, for each batch.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, compute_grpo_outcome_advantage
from verl.utils.torch_functional import masked_whiten

from vrft_aug.rewards import Objective

NAME = "gdpo"


def register(samples: Sequence[Mapping[str, Any]], objective: Objective) -> None:
    """Let verl compute the advantages of these samples (results of `compute_score`) as above."""
    ADV_ESTIMATOR_REGISTRY[NAME] = partial(advantages, samples, objective)


def advantages(
    samples: Sequence[Mapping[str, Any]], objective: Objective, response_mask: torch.Tensor, index: np.ndarray, **_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns of verl's estimators: (samples, tokens) each, the same for every token of a response.

    response_mask: (samples, tokens), 1 for a token of the response. index: (samples,), the prompt of each sample.
    """
    total = torch.zeros(response_mask.shape)
    for name in dict.fromkeys(term.name for terms in objective.terms.values() for term in terms):
        shares, weights = torch.tensor([_share(sample, objective, name) for sample in samples]).T.unsqueeze(-1)
        total += weights * compute_grpo_outcome_advantage(shares, response_mask, index)[0]
    whitened = masked_whiten(total, response_mask) * response_mask
    return whitened, whitened


def _share(sample: Mapping[str, Any], objective: Objective, name: str) -> tuple[float, float]:
    """What a reward adds to the sample's score, and the size of its weight; nothing if its task has no such reward."""
    found = [(term.share(sample[name]), abs(term.weight)) for term in objective.terms[sample["task"]]
             if term.name == name]  # fmt: skip
    return found[0] if found else (0.0, 0.0)
