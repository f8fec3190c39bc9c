"""Answers a checklist's items about comparisons: other images or prompts, other splits, opponents, readers; files."""

from collections.abc import Sequence

from vrft_aug.evaluation.metrics.intervals import Metrics
from vrft_aug.evaluation.report.checklist.policy_cells import code
from vrft_aug.evaluation.report.checklist.run_record import BY_SET, RunRecord, at
from vrft_aug.evaluation.report.checklist.wording import each, fillers, joined, listed, quantity, short

OPPONENTS = {"pixels": "logistic regression on pixels",
             "features": "logistic regression on the policy's vision features",
             "prior": "the most frequent option of the training questions"}  # fmt: skip
VALIDATION = "validation"
DEGRADED = ("blank", "blur", "noise", "jpeg", "downsample")


def robustness(record: RunRecord) -> str:
    """The accuracy with other images or another prompt: shuffled, blank, degraded, wrong knowledge."""
    return _beside(record, [name for name in record.beside if name not in (*OPPONENTS, VALIDATION)])


def degraded(record: RunRecord) -> str:
    """The accuracy with poor or missing images alone."""
    return _beside(record, [name for name in record.beside if name.startswith(DEGRADED)])


def _beside(record: RunRecord, names: Sequence[str]) -> str:
    texts = joined(*(_accuracy(name.replace("_", " "), record.beside[name]) for name in names))
    return texts and joined(_accuracy("as tested", record.metrics), texts)


def internal_testing(record: RunRecord) -> str:
    """The same policy on the validation split beside the test split."""
    if VALIDATION not in record.beside:
        return ""
    return joined(_accuracy("validation split", record.beside[VALIDATION]), _accuracy("test split", record.metrics))


def external(record: RunRecord) -> str:
    """Whether the test images are of another data set than those of the trainings."""
    tested = record.test.run.get("dataset")
    trained = list(dict.fromkeys(str(one.run["dataset"]) for one in record.trainings if one.run.get("dataset")))
    if not tested or not trained:
        return ""
    if tested in trained:
        return f"none in this run: training and test images are of {short(tested)}"
    return f"trained on {listed(trained)}, tested on {short(tested)}: {each(record.metrics, _size)}"


def _size(metrics: Metrics) -> str:
    return joined(f"{metrics['n']} images", quantity("accuracy", metrics.get("accuracy")))


def comparisons(record: RunRecord) -> str:
    """The constant predictor, classifiers without a language model, and human readers."""
    opponents = [_accuracy(text, record.beside[name]) for name, text in OPPONENTS.items() if name in record.beside]
    constant = each(record.metrics, lambda one: quantity("constant predictor", one.get("majority")))
    return joined(_accuracy("this policy", record.metrics), constant, *opponents, reader_agreement(record))


def _accuracy(name: str, sets: BY_SET) -> str:
    text = each(sets, lambda one: quantity("", one.get("accuracy")).strip())
    return text and f"accuracy, {name}: {text}"


def reader_agreement(record: RunRecord) -> str:
    """Agreement of human readers with the policy and with each other."""
    return each(record.metrics, _readers)


def _readers(metrics: Metrics) -> str:
    return joined(*(_leaves(short(name), one) for name, one in (metrics.get("readers") or {}).items()))


def _leaves(name: str, tree: object) -> str:
    """Every quantity at any depth of a tree of metrics, with its path."""
    if not isinstance(tree, dict):
        return ""
    if "value" in tree:
        return quantity(name.replace("_", " "), tree)  # type: ignore[arg-type]  # JSON; the key shows a quantity
    return joined(*(_leaves(f"{name} {short(key)}", one) for key, one in tree.items()))


def settings_files(record: RunRecord) -> str:
    """The files that hold every setting."""
    return joined("config.yaml (every setting) and run.json of each stage", record.manifest and
                  "manifest.json of the rows", "docs/protocol.md of VRFT-Aug")  # fmt: skip


def availability(record: RunRecord) -> str:
    """Code, and licence of the data."""
    return joined(code(record), data_availability(record))


def data_availability(record: RunRecord) -> str:
    """Source and licence of the data set."""
    source, licence = at(record.dataset, "source"), at(record.dataset, "licence")
    return joined(source and f"data: {short(source)}", licence and f"licence of the data: {short(licence)}")


FILLERS = fillers(robustness, degraded, internal_testing, external, comparisons, reader_agreement,
                  settings_files, availability, data_availability)  # fmt: skip
