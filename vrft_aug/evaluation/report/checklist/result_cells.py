"""Answers a checklist's items about the results: performance, uncertainty, robustness, failures, limits."""

from collections.abc import Mapping
from typing import Any

from vrft_aug.evaluation.metrics.intervals import Metrics
from vrft_aug.evaluation.metrics.too_little import too_little
from vrft_aug.evaluation.report.checklist.run_record import RunRecord, at
from vrft_aug.evaluation.report.checklist.wording import each, fillers, joined, listed, quantity, short

FACTORS = {"accuracy": 100, "option_chance": 100, "balanced_accuracy": 100, "macro_f1": 100,
           "quadratic_kappa": 1, "mean_absolute_error": 1, "mean_iou": 1, "recall_50": 100,
           "unparseable": 100, "thought_accuracy": 100}  # fmt: skip
PROBABILITIES = {"auroc": 1, "auprc": 1, "brier": 1, "calibration_error": 1, "aurc": 1, "accuracy_at_80": 100,
                 "accuracy_at_90": 100}  # fmt: skip
WORST = 3  # confusions that are named


def in_short(record: RunRecord) -> str:
    """One line of results for an abstract."""
    return each(record.metrics, lambda one: joined(f"{one['n']} test images", quantity("accuracy", one["accuracy"])))


def performance(record: RunRecord) -> str:
    """Every headline quantity with its 95 % interval, and the constant predictor's accuracy."""
    return each(record.metrics, _performance)


def _performance(metrics: Metrics) -> str:
    values = [quantity(name.replace("_", " "), metrics.get(name), factor) for name, factor in FACTORS.items()]
    majority = metrics.get("majority")
    constant = majority and quantity(f"constant answer {short(majority['class'])}", majority)
    return joined(f"{metrics['n']} test images", *values, constant, _chances(metrics, "probabilities"),
                  _chances(metrics, "votes"))  # fmt: skip


def _chances(metrics: Metrics, key: str) -> str:
    """The quantities of the class probabilities, or of vote shares; "" without them."""
    found = metrics.get(key) or {}
    values = [quantity(name.replace("_", " "), found.get(name), factor) for name, factor in PROBABILITIES.items()]
    text = ", ".join(filter(None, values))
    return text and f"from {key}: {text}"


def probabilities(record: RunRecord) -> str:
    """Where class probabilities come from. There is no threshold: the answer is the class that the policy writes."""
    kinds = [key for key in ("probabilities", "votes") if any(one.get(key) for one in record.metrics.values())]
    sources = {"probabilities": "log-probability of each class name at the answer, normalised over the classes",
               "votes": "shares of the samples that answer each class"}  # fmt: skip
    known = joined(*(sources[kind] for kind in kinds)) or "no class probabilities in this run"
    return joined("the answer is the class that the policy writes, without a threshold", known)


def diagnostic(record: RunRecord) -> str:
    """Recall of each class, AUROC, and sensitivity at 90 % specificity, with 95 % intervals."""
    return each(record.metrics, _diagnostic)


def _diagnostic(metrics: Metrics) -> str:
    found = metrics.get("probabilities") or {}
    recalls = filter(None, (quantity(short(name), one) for name, one in (metrics.get("recall") or {}).items()))
    areas = filter(None, (quantity(short(name), one, 1) for name, one in (found.get("auroc_of") or {}).items()))
    screening = quantity("sensitivity at 90 % specificity", found.get("sensitivity_at_90_specificity"))
    names = {"recall of each class": listed(recalls), "AUROC of each class": listed(areas)}
    return joined(*(f"{name}: {values}" for name, values in names.items() if values), screening)


def metric_names(record: RunRecord) -> str:
    """The outcome and the metrics that were computed of it."""
    present = [name for name in FACTORS if any(one.get(name) for one in record.metrics.values())]
    kinds = ("probabilities", "votes")
    present += [name for name in PROBABILITIES if any(at(one, f"{key}.{name}") for one in record.metrics.values()
                                                      for key in kinds)]  # fmt: skip
    names = ", ".join(present).replace("_", " ")
    return f"outcome: the answer equals the label (a box: IoU); {names}; file: metrics.json"


def scoring(record: RunRecord) -> str:
    """Who judges an answer."""
    return "none: a program compares each answer with the label"


def no_summaries(record: RunRecord) -> str:
    """The tasks are classes, grades and boxes."""
    return "not applicable: no text is summarised"


def uncertainty(record: RunRecord) -> str:
    """How intervals and tests are made, and the accuracies of all seeds of the cell."""
    by_seed = {seed: in_short(RunRecord("", record.test, metrics)) for seed, metrics in record.seeds.items()}
    seeds = joined(*(f"seed {seed}: {text}" for seed, text in by_seed.items()))
    resampled = "bootstrap over groups of images for the rest"
    return joined(f"95 % intervals: Wilson for accuracies, {resampled}; runs compared by McNemar's exact test (report)",
                  seeds or f"one seed ({record.test.run.get('seed')})")  # fmt: skip


def thoughts(record: RunRecord) -> str:
    """What is known about the text before the answer."""
    known = each(record.metrics, _thoughts)
    return joined("the policy writes a thought before its answer; that it explains the answer is not shown", known)


def _thoughts(metrics: Metrics) -> str:
    findings = quantity("thoughts that name the findings", metrics.get("thought_accuracy"))
    return joined(quantity("format followed", metrics.get("format")), findings)


def failures(record: RunRecord) -> str:
    """The most frequent confusions, rejected answers, and the favourite answer."""
    return joined(each(record.metrics, _failures), "single images: gallery of the report")


def _failures(metrics: Metrics) -> str:
    table = metrics.get("confusion") or {"classes": [], "columns": [], "counts": []}
    cells = [(number, true, answer) for true, row in zip(table["classes"], table["counts"], strict=True)
             for answer, number in zip(table["columns"], row, strict=True) if number and answer != true]  # fmt: skip
    worst = sorted(cells, key=lambda cell: -cell[0])[:WORST]
    named = ", ".join(f"{number} of {short(true)} as {short(answer)}" for number, true, answer in worst)
    rejected = ", ".join(f"{short(reason)} {count}" for reason, count in (metrics.get("rejected") or {}).items())
    favourite: Mapping[str, Any] = metrics.get("most_frequent") or {}
    usual = favourite.get("prediction") and quantity(
        f"most frequent answer {short(favourite['prediction'])}", favourite.get("share")
    )
    return joined(named and f"most frequent confusions: {named}", rejected and f"rejected answers: {rejected}", usual)


def limitations(record: RunRecord) -> str:
    """What the numbers themselves warn of."""
    leaks = record.manifest.get("leakage") or {}
    copies = leaks.get("exact", 0) + leaks.get("near", 0)
    unreviewed = at(record.test.run, "knowledge.unreviewed")
    return joined(each(record.metrics, too_little), copies and f"{copies} copies of images across splits were found",
                  unreviewed and f"{unreviewed} entries of the prompt's knowledge unreviewed",
                  record.was_trained and not record.seeds and "one seed of the training",
                  *map(short, record.manifest.get("warnings") or []))  # fmt: skip


FILLERS = fillers(in_short, performance, probabilities, diagnostic, metric_names, scoring, no_summaries, uncertainty,
                  thoughts, failures, limitations)  # fmt: skip
