"""Measures what a policy offers to reinforcement before a training: pass@k and groups of mixed scores, with a verdict.

GRPO learns from groups whose scores differ, and makes likelier what the policy already samples now and then.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from vrft_aug.evaluation.metrics.intervals import Metrics, Quantity, bootstrap, weighted_means
from vrft_aug.evaluation.metrics.pass_at_k import all_among, ladder, mixed_share, pass_at_k
from vrft_aug.rewards.diagnostics import BOUNDS
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

# Below this share of mixed groups there is nothing to learn from: the training would warn at every step (equal_groups).
ENOUGH = round(1 - (BOUNDS["equal_groups"][1] or 0), 6)
PLENTY = 0.3  # a judgement: below it, more than two thirds of all sampling teach nothing
MOST = 0.8  # a judgement: where so many groups have the same result, this result is the reason


def by_prompt(predictions: pd.DataFrame, group: int, main: Sequence[str] = ()) -> pd.DataFrame:
    """One row per prompt, in the order of the predictions. Every prompt needs the same number of samples, n >= group.

    predictions: columns of measure.py, and score. main: columns of the rewards for a right answer (`Objective.main`).
    Columns: source_id, group_id, class ("" without classes), samples (n), right (how many are), solved (right / n),
    mean_score, score_spread (standard deviation over the samples), mixed (chance that a group has different scores),
    mixed_answer (likewise for the rewards `main` alone; that of the score without them).
    """
    classless = predictions["task"].iloc[0] in (*BOX_TASKS, QUESTION)
    prompts = predictions.groupby("source_id", sort=False)
    scores = np.stack([one.to_numpy(float) for _, one in prompts["score"]])
    answers = predictions.assign(answer=predictions[list(main)].sum(axis=1)).groupby("source_id", sort=False)["answer"]
    mixed = mixed_share(scores, group)
    table = prompts.agg(group_id=("group_id", "first"), ground_truth=("ground_truth", "first"), right=("acc", "sum"))
    table = table.reset_index().assign(
        samples=scores.shape[1],
        solved=lambda one: one["right"] / one["samples"],
        mean_score=scores.mean(axis=1),
        score_spread=scores.std(axis=1),
        mixed=mixed,
        mixed_answer=mixed_share(np.stack([one.to_numpy(float) for _, one in answers]), group) if main else mixed,
    )
    table["class"] = "" if classless else table.pop("ground_truth")
    table["right"] = table["right"].astype(int)
    return table.drop(columns="ground_truth", errors="ignore")


def headroom(table: pd.DataFrame, group: int, seed: int = 0, resamples: int = 1000) -> Metrics:
    """The measures over all prompts and per class, as JSON can hold them; a quantity has a 95 % interval (`Quantity`).

    table: what `by_prompt` returns for the same group. The bootstrap resamples groups of images (patients, lesions).

    Returns {samples, group, images, pass_at {k: quantity}, mixed, mixed_answer, all_right, all_wrong, mean_score,
    constant (share of right answers of a policy that always answers the most frequent class; None without classes),
    per_class {class: the same without samples, group and constant}, verdict {kind, text}}.
    """
    classes = sorted(set(table["class"]) - {""})
    found: Metrics = {"samples": int(table["samples"].iloc[0]), "group": group}
    found |= _measures(table, group, seed, resamples)
    found["constant"] = float(table["class"].value_counts(normalize=True).iloc[0]) if classes else None
    found["per_class"] = {name: _measures(table[table["class"] == name], group, seed, resamples) for name in classes}
    kind, text = verdict(found)
    return found | {"verdict": {"kind": kind, "text": text}}


def _measures(table: pd.DataFrame, group: int, seed: int, resamples: int) -> dict[str, Any]:
    right, n = table["right"].to_numpy(), int(table["samples"].iloc[0])
    columns = {f"pass@{k}": pass_at_k(right, n, k) for k in sorted({*ladder(n), group})}
    columns |= {name: table[name].to_numpy(float) for name in ("mixed", "mixed_answer", "mean_score")}
    columns |= {"all_right": all_among(right, n, group), "all_wrong": all_among(n - right, n, group)}
    measured = bootstrap(weighted_means(columns), table["group_id"].to_numpy(), np.random.default_rng(seed), resamples)
    passes = {name.removeprefix("pass@"): measured.pop(name) for name in list(measured) if name.startswith("pass@")}
    return {"images": len(table), "pass_at": passes, **measured}


def verdict(found: Metrics) -> tuple[str, str]:
    """(kind, one sentence): whether reinforcement has something to work with. found: what `headroom` measures.

    Kinds: solved, nothing, stuck (no mixed groups; right, wrong, or some of both), form (mixed, but not by the answer),
    little, something.
    """
    names = ("mixed", "mixed_answer", "all_right", "all_wrong")
    mixed, answer, right, wrong = (_value(found[name]) for name in names)
    groups, are_mixed = f"of groups of {found['group']}", f"{_percent(mixed)} are mixed"
    sft = "start with V-SFT (experiment=v_sft_v_rft)"
    if mixed < ENOUGH and right >= MOST:
        return "solved", f"Already solved: {_percent(right)} {groups} are all right and {are_mixed}; take harder images"
    if mixed < ENOUGH and wrong >= MOST:
        return "nothing", f"Nothing to reinforce: {_percent(wrong)} {groups} are all wrong and {are_mixed}; {sft}"
    if mixed < ENOUGH:
        return "stuck", (f"Almost nothing to reinforce: {_percent(right)} {groups} are all right, "
                         f"{_percent(wrong)} all wrong, and {are_mixed}; {sft}")  # fmt: skip
    if answer < ENOUGH:
        return "form", (f"Reinforcement would teach the form of an answer alone: {_percent(mixed)} {groups} have mixed "
                        f"scores, but {_percent(answer)} by the answer itself; {sft}")  # fmt: skip
    first, best = (_value(found["pass_at"][str(k)]) for k in (1, found["group"]))
    much = "something" if mixed >= PLENTY else "little"
    return much, (f"Reinforcement has {much} to work with: {_percent(mixed)} {groups} are mixed and "
                  f"pass@{found['group']} is {100 * (best - first):.0f} points above pass@1{_luck(found)}")  # fmt: skip


def _luck(found: Metrics) -> str:
    """A warning where even a policy that does not look at the image would have as many right answers."""
    one, constant = found["pass_at"]["1"], found["constant"]
    if constant is None or (one["value"] if one["low"] is None else one["low"]) > constant:
        return ""
    return (f"; but pass@1 ({_percent(one['value'])}) is not clearly above that of one constant answer "
            f"({_percent(constant)}), so right answers may be luck")  # fmt: skip


def _value(quantity: Quantity) -> float:
    return float("nan") if quantity["value"] is None else quantity["value"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
