"""Gives TRL's GRPOTrainer these rewards. TRL passes the data set's columns to a reward function by name:

    from functools import partial
    from vrft_aug.rewards.adapters.trl import objective_reward
    GRPOTrainer(..., reward_funcs=partial(objective_reward, objective="mfrs"))

The data set is what `recipes/prepare.py export=trl` writes. Scoring needs its columns `solution` and `extra_info`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vrft_aug.errors import InputError
from vrft_aug.rewards import ExtraInfo, Objective, compose, compute_score
from vrft_aug.rewards.diagnostics import part_means
from vrft_aug.rewards.schedule import progress


def objective_reward(
    completions: Sequence[Any],
    solution: Sequence[str],
    extra_info: Sequence[ExtraInfo],
    objective: str | Mapping | Objective = "accuracy",
    completion_ids: Sequence[Sequence[int]] | None = None,
    log_metric: Callable[[str, float], None] | None = None,
    trainer_state: Any = None,
    **_: Any,
) -> list[float]:
    """The score of each completion: a text, or a conversation whose last message is the response.

    completion_ids: TRL's token ids of each completion, up to its end token; they give the response's length.
    trainer_state: TRL's; its `global_step`, from 0, and `max_steps` tell the step to an objective with a schedule.
    Raises InputError for such an objective without it.
    TRL's `log_metric` gets each part's mean over the samples that have it, as "reward/<task>/<part>".
    """
    if compose(objective).scheduled and trainer_state is None:
        raise InputError("objective: its schedule needs the step, which this TRL does not pass (trainer_state): update "
                         "TRL, or choose an objective without a schedule")  # fmt: skip
    texts = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
    lengths = [None] * len(texts) if completion_ids is None else [len(ids) for ids in completion_ids]
    samples = [
        compute_score("the data set", text, truth, info, objective, tokens=length, progress=_done(info, trainer_state))
        for text, truth, info, length in zip(texts, solution, extra_info, lengths, strict=True)
    ]
    if log_metric:
        for name, mean in part_means(samples).items():
            log_metric(name, mean)
    return [sample["score"] for sample in samples]


def _done(info: ExtraInfo, state: Any) -> float | None:
    return None if state is None else progress(info, state.global_step + 1, state.max_steps)
