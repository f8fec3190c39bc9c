"""These rewards in TRL, whose GRPOTrainer passes a reward function the data set's columns by name:

    from functools import partial
    from vrft_aug.rewards.adapters.trl import objective_reward
    GRPOTrainer(..., reward_funcs=partial(objective_reward, objective="mfrs"))

The data set is what `recipes/prepare.py export=trl` writes: scoring needs its columns `solution` and `extra_info`.
"""

from collections.abc import Callable, Mapping

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.diagnostics import part_means


def objective_reward(
    completions: list,
    solution: list[str],
    extra_info: list[dict],
    objective: str | Mapping = "accuracy",
    log_metric: Callable[[str, float], None] | None = None,
    **_,
) -> list[float]:
    """The score of each completion, a text or a conversation whose last message is the response.

    Each part's mean over the samples that it applies to goes to TRL's `log_metric` under "reward/<task>/<part>".
    """
    responses = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    rows = zip(responses, solution, extra_info, strict=True)
    samples = [compute_score("the data set", response, truth, info, objective) for response, truth, info in rows]
    if log_metric:
        for name, mean in part_means(samples).items():
            log_metric(name, mean)
    return [sample["score"] for sample in samples]
