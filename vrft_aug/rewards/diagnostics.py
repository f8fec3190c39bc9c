"""Measures signs that a policy games its reward or learns nothing from it, from the results of `compute_score`.

Pure functions of a training step's samples and of the prompt that each sample answers. A metric's name is
`<prefix>/<task>/<measure>`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from vrft_aug.errors import InputError
from vrft_aug.rewards.objective import Objective
from vrft_aug.rewards.term import Term

Metrics = Mapping[str, float]  # name -> value
Sample = Mapping[str, Any]  # a result of `compute_score`
Bound = tuple[float | None, float | None]
EQUAL = 1e-9  # scores of a group that differ by less are equal: the advantage is zero
NIL = 0.01  # of the range of the scores: a difference below it is practically none

# measure -> lowest and highest value without a warning (None: no bound on that side), and what a value beyond it means
MEASURES: dict[str, tuple[float | None, float | None, str]] = {
    "equal_groups": (None, 0.9, "groups of equal scores have no advantage and teach nothing"),
    "nil_decides": (None, 0.1, "scores of a group differ by less than 1 % of their range; GRPO divides by the group's "
                               "deviation and makes a full advantage of it"),
    "top_prediction": (None, 0.9, "nearly every answer is the same: compare with the majority class"),
    "not_a_class": (None, 0.1, "answers are not among the row's classes"),
    "no_answer": (None, 0.1, "responses have no single readable answer"),
    "format_only": (None, 0.9, "responses earn the format reward and nothing for their answer"),
    "response_length": (4, None, "the responses have few tokens: the reasoning is gone"),
    "knowledge_bleu": (None, 0.5, "the thought copies the prompt's knowledge"),
    "score_gap": (None, 0.3, "the training reward is far above the validation accuracy"),
    "failed_prompts": (None, 0, "samples of these prompts ended with an error, which log.txt names, and are missing"),
}
NO_BOUND: Bound = (None, None)
BOUNDS: dict[str, Bound] = {name: (low, high) for name, (low, high, _) in MEASURES.items()}
MEANING = {name: meaning for name, (*_, meaning) in MEASURES.items()}


def measure(
    samples: Sequence[Sample], groups: Sequence[str], objective: Objective, prefix: str = "reward"
) -> dict[str, float]:
    """The metrics of one step, for each task among the samples.

    samples: results of `compute_score` by `objective`, or of verl's reward manager. groups: the id of the prompt that
    each answers. Gives the mean of every part over the samples that have it, and:
    top_prediction: share of the most frequent prediction. no_answer, not_a_class: shares of all samples.
    format_only: share of the samples that get the format reward and none for a right answer (`Objective.main`).
    Of the groups of two or more:
    equal_groups: share whose scores are all equal, so that GRPO's advantage is zero.
    nil_decides: of the others, the share whose scores differ by less than 1 % of the range of the task's scores.
    <part>_spread: by how much the part moves the score within a group (highest minus lowest), the mean over the groups.
    """
    metrics = part_means(samples, prefix)
    together: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample, group in zip(samples, groups, strict=True):
        together[sample["task"]][group].append(sample)
    for task, found in together.items():
        own = _shares([sample for group in found.values() for sample in group], objective.main(task))
        own |= _within([group for group in found.values() if len(group) > 1], objective.terms[task])
        metrics |= {f"{prefix}/{task}/{name}": value for name, value in own.items()}
    return metrics


def part_means(samples: Sequence[Sample], prefix: str = "reward") -> dict[str, float]:
    """The mean of each numeric part per task, over the samples that have the part (None: not part of its task)."""
    values = defaultdict(list)
    for sample in samples:
        for part, value in sample.items():
            if isinstance(value, int | float):
                values[f"{prefix}/{sample['task']}/{part}"].append(value)
    return {name: fmean(found) for name, found in values.items()}


def score_gap(training: Metrics, validation: Metrics, prefix: str = "reward") -> dict[str, float]:
    """Mean training score minus validation accuracy per task, from two results of `measure` with the same prefix."""
    gaps = {}
    for name, accuracy in validation.items():
        task = name.removeprefix(f"{prefix}/").removesuffix("/acc")
        if name == f"{prefix}/{task}/acc" and f"{prefix}/{task}/score" in training:
            gaps[f"{prefix}/{task}/score_gap"] = training[f"{prefix}/{task}/score"] - accuracy
    return gaps


def warnings(metrics: Metrics, bounds: Mapping[str, Bound] = BOUNDS) -> list[str]:
    """One line per metric outside its bound. Raises InputError for a bound on an unknown measure."""
    if unknown := set(bounds) - set(MEANING):
        raise InputError(f"diagnostics: no measure {', '.join(sorted(unknown))}; known: {', '.join(MEANING)}")
    lines = []
    for name, value in metrics.items():
        low, high = bounds.get(name.rpartition("/")[2], NO_BOUND)
        meaning = MEANING.get(name.rpartition("/")[2])
        if low is not None and value < low:
            lines.append(f"{name} is {value:.3g}, below {low:g}: {meaning}")
        if high is not None and value > high:
            lines.append(f"{name} is {value:.3g}, above {high:g}: {meaning}")
    return lines


def _shares(samples: Sequence[Sample], main: Sequence[str]) -> dict[str, float]:
    predictions = Counter(sample["prediction"] for sample in samples)
    return {
        "top_prediction": max(predictions.values()) / len(samples),
        "no_answer": predictions[""] / len(samples),
        "not_a_class": fmean(sample["rejected"] == "not a class" for sample in samples),
        "format_only": fmean(one.get("format") == 1.0 and not any(map(one.get, main)) for one in samples),
    }


def _within(groups: Sequence[Sequence[Sample]], terms: Sequence[Term]) -> dict[str, float]:
    """What differs within groups of two or more samples of one task; nothing where there is no such group."""
    if not groups:
        return {}
    spreads = [_spread(sample["score"] for sample in group) for group in groups]
    found = {"equal_groups": fmean(spread < EQUAL for spread in spreads)}
    if unequal := [spread for spread in spreads if spread >= EQUAL]:
        reach = sum(abs(term.share(1.0)) for term in terms)  # a reward is between 0 and 1
        found["nil_decides"] = fmean(spread < NIL * reach for spread in unequal)
    for term in terms:
        shares = (_spread(term.share(sample[term.name]) for sample in group) for group in groups)
        found[f"{term.name}_spread"] = fmean(shares)
    return found


def _spread(values: Iterable[float]) -> float:
    found = list(values)
    return max(found) - min(found)
