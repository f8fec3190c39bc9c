"""Signs that a reward is being gamed or teaches nothing, from what `compute_score` says of each sample.

Pure functions over a step's samples and the prompt that each answers; names are `<prefix>/<task>/<measure>`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from vrft_aug.errors import InputError

Bound = tuple[float | None, float | None]

# measure -> (lowest, highest) value that passes without a warning, None for no bound
BOUNDS: dict[str, Bound] = {
    "equal_groups": (None, 0.9),
    "top_prediction": (None, 0.9),
    "not_a_class": (None, 0.1),
    "no_answer": (None, 0.1),
    "format_only": (None, 0.9),
    "response_length": (4, None),
    "knowledge_bleu": (None, 0.5),
    "score_gap": (None, 0.3),
}
MEANING = {
    "equal_groups": "groups of equal scores have no advantage and teach nothing",
    "top_prediction": "nearly every answer is the same: compare with the majority class",
    "not_a_class": "answers are not among the row's classes",
    "no_answer": "responses have no single readable answer",
    "format_only": "responses earn the format reward and nothing else",
    "response_length": "responses in tokens: the reasoning is gone",
    "knowledge_bleu": "the thought copies the prompt's knowledge",
    "score_gap": "the training reward runs ahead of the validation accuracy",
}


def measure(samples: Sequence[Mapping], groups: Sequence[str], prefix: str = "reward") -> dict[str, float]:
    """The step's metrics for each task among the samples.

    samples: what `compute_score` or verl's manager returned; groups: the id of the prompt that each sample answers.
    Gives the mean of every part over the samples that it applies to, and:
    equal_groups: share of the groups (of two and more) whose scores are all equal, so that GRPO's advantage is zero.
    top_prediction: share of the most frequent prediction. no_answer, not_a_class: shares of all samples.
    format_only: share of samples that score by their format and by no other reward.
    """
    metrics = part_means(samples, prefix)
    for task in {sample["task"]: None for sample in samples}:
        rows = [(sample, group) for sample, group in zip(samples, groups, strict=True) if sample["task"] == task]
        of_task = [sample for sample, _ in rows]
        metrics |= {f"{prefix}/{task}/{name}": value for name, value in _shares(of_task).items()}
        scores = defaultdict(list)
        for sample, group in rows:
            scores[group].append(sample["score"])
        several = [values for values in scores.values() if len(values) > 1]
        if several:
            metrics[f"{prefix}/{task}/equal_groups"] = fmean(max(v) - min(v) < 1e-9 for v in several)
    return metrics


def part_means(samples: Sequence[Mapping], prefix: str = "reward") -> dict[str, float]:
    """The mean of each numeric part over the samples of each task that it applies to (None: it does not)."""
    values = defaultdict(list)
    for sample in samples:
        for part, value in sample.items():
            if isinstance(value, int | float):
                values[f"{prefix}/{sample['task']}/{part}"].append(value)
    return {name: fmean(found) for name, found in values.items()}


def score_gap(training: Mapping[str, float], validation: Mapping[str, float], prefix: str = "reward") -> dict:
    """Mean training score minus validation accuracy for each task, from two results of `measure` of one prefix."""
    gaps = {}
    for name, accuracy in validation.items():
        task = name.removeprefix(f"{prefix}/").removesuffix("/acc")
        if name == f"{prefix}/{task}/acc" and f"{prefix}/{task}/score" in training:
            gaps[f"{prefix}/{task}/score_gap"] = training[f"{prefix}/{task}/score"] - accuracy
    return gaps


def warnings(metrics: Mapping[str, float], bounds: Mapping[str, Bound] = BOUNDS) -> list[str]:
    """One line for each metric outside its bound. Raises InputError for a bound on an unknown measure."""
    if unknown := set(bounds) - set(MEANING):
        raise InputError(f"diagnostics: no measure {', '.join(sorted(unknown))}; known: {', '.join(MEANING)}")
    lines = []
    for name, value in metrics.items():
        low, high = bounds.get(name.rpartition("/")[2], (None, None))
        meaning = MEANING.get(name.rpartition("/")[2])
        if low is not None and value < low:
            lines.append(f"{name} is {value:.3g}, below {low:g}: {meaning}")
        if high is not None and value > high:
            lines.append(f"{name} is {value:.3g}, above {high:g}: {meaning}")
    return lines


def _shares(samples: list[Mapping]) -> dict[str, float]:
    predictions = Counter(sample["prediction"] for sample in samples)
    return {
        "top_prediction": max(predictions.values()) / len(samples),
        "no_answer": predictions[""] / len(samples),
        "not_a_class": fmean(sample["rejected"] == "not a class" for sample in samples),
        "format_only": fmean(map(_format_only, samples)),
    }


def _format_only(sample: Mapping) -> bool:
    return sample.get("format") == 1.0 and not any(sample.get(main) for main in ("accuracy", "mfrs", "iou"))
