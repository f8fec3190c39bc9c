"""Answers a checklist's items about the data: sources, choice, partitions, numbers of images."""

from vrft_aug.evaluation.metrics.intervals import Metrics
from vrft_aug.evaluation.report.checklist.run_record import RunRecord, at
from vrft_aug.evaluation.report.checklist.wording import each, fillers, joined, listed, pairs, short
from vrft_aug.evaluation.report.provenance import tokens_text
from vrft_aug.evaluation.runs import Facts
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

RULE = ("protocol", "shots", "up_to", "seed", "test_seed")
LOADER = ("flag", "size", "csv", "task", "task_seed", "consensus", "exclude", "train", "val", "test", "seed")


def data_source(record: RunRecord) -> str:
    """Name, source and licence of the data set, and which files were read."""
    known = record.dataset
    files = len(record.manifest.get("sources") or {})
    return joined(
        known.get("title") and f"{short(known['title'])}, {short(known.get('modality'))} images",
        known.get("source") and f"source: {short(known['source'])}",
        known.get("licence") and f"licence: {short(known['licence'])}",
        files and f"{files} source files with their SHA-256 in manifest.json",
    )


def modality(record: RunRecord) -> str:
    """What kind of images, of what."""
    known = record.dataset
    return f"{short(known['modality'])} images of {short(known.get('organ'))}" if known.get("modality") else ""


def data_elements(record: RunRecord) -> str:
    """What is predicted."""
    known, task = record.dataset, record.manifest.get("task") or record.dataset.get("task")
    if not known.get("classes"):
        return ""
    if task in BOX_TASKS:
        one = f"one box around the {short(known.get('target'))}"
        every = f"one box around each {short(known.get('finding') or known.get('target'))}, or none"
        return f"outcome: {one if task == 'localization' else every}, in pixels; input: the image and a prompt"
    if task == QUESTION:
        return "outcome: one option per question, of those that the question lists; input: the image and a prompt"
    kind = "grade" if task == "grading" else "class"
    names = f"{len(known['classes'])}: {listed(known['classes'])}"
    return f"outcome: one {kind} per image, of {names}; input: the image and a prompt"


def reference_standard(record: RunRecord) -> str:
    """Where the labels come from, and how several readers' labels become one."""
    outcome = data_elements(record).partition(";")[0]
    rule = pairs(record.dataset.get("loader"), ("consensus", "exclude"))
    return joined(outcome and "the label that the data set's loader reads from the source", rule, outcome)


def preprocessing(record: RunRecord) -> str:
    """How the policy's image processor sees an image."""
    policy = record.manifest.get("policy") or {}
    tokens = tokens_text(Facts(image_tokens=record.test.run.get("image_tokens")))
    if not policy.get("min_pixels"):
        return ""
    low, high = policy["min_pixels"], policy["max_pixels"]
    area = f"{low} pixels" if low == high else f"{low} to {high} pixels"
    seen = tokens and f"{tokens} visual tokens per image"
    side = f"sides multiples of {policy['patch'] * policy['merge']}"
    return joined(f"the policy's image processor resizes each image to an area of {area}, {side}", seen)


def subsets(record: RunRecord) -> str:
    """The rule by which images were drawn."""
    rule = record.manifest.get("rule") or {}
    if not rule:
        return ""
    what = ("questions", "") if record.manifest.get("task") == QUESTION else ("images", " per class")
    shots = f"all training {what[0]}" if rule.get("shots") is None else f"{rule['shots']} training {''.join(what)}"
    limits = pairs(rule.get("limit"), ("train", "val", "test"))
    validation = pairs(rule.get("validation"), ("per_class", "total"))
    return joined(shots, pairs(rule, RULE), validation and f"validation at most {validation}",
                  limits and f"rows at most {limits}", "rule: manifest.json")  # fmt: skip


def partitions(record: RunRecord) -> str:
    """Images per split, and who decided which split an image is in."""
    splits, loader = record.manifest.get("splits") or {}, record.dataset.get("loader") or {}
    if not splits:
        return ""
    numbers = ", ".join(f"{name} {one['rows']}" for name, one in splits.items())
    module = str(loader.get("_target_", "")).removesuffix(".load").rpartition(".")[2]
    return joined(f"images: {numbers}", f"splits of the loader {module} ({pairs(loader, LOADER)})",
                  f"drawn by {pairs(record.manifest.get('rule'), RULE)}")  # fmt: skip


def distribution(record: RunRecord) -> str:
    """Images per class of each split."""
    splits = record.manifest.get("splits") or {}
    drawn = {name: [f"{label} {number}" for label, number in one["drawn"].items()] for name, one in splits.items()}
    return joined(*(f"{name}: {listed(counts)}" for name, counts in drawn.items()))


def disjoint(record: RunRecord) -> str:
    """The level at which splits share nothing: the preparation refuses a group that is in two splits."""
    leaks = record.manifest.get("leakage")
    copies = leaks and (f"copies of an image in two splits: {leaks['exact']} exact, {leaks['near']} near "
                        f"(leakage={leaks['action']})")  # fmt: skip
    groups = each(record.metrics, _groups)
    return joined(record.manifest and "no group is in two splits (the preparation refuses it)", groups, copies)


def _groups(metrics: Metrics) -> str:
    text = f"{metrics['n']} test images of {metrics['groups']} groups"
    return text if metrics["groups"] < metrics["n"] else f"{text}: each image is its own group (image level)"


def missing_data(record: RunRecord) -> str:
    """What happens to images, labels and answers that are missing, and to rare classes."""
    rule, splits = record.manifest.get("rule"), record.manifest.get("splits") or {}
    if not rule:
        return ""
    files = "is passed over (partial=true)" if rule.get("partial") else "ends the preparation with an error"
    boxes = ", ".join(f"{name} {one['without_box']}" for name, one in splits.items() if one.get("without_box"))
    balanced = any(at(one.config, "schedule.balanced") for one in record.trainings)
    return joined(f"an image that is missing {files}", boxes and f"left out for want of a box: {boxes}",
                  "an answer that cannot be read counts as wrong",
                  balanced and "classes balanced in training batches")  # fmt: skip


def sample_size(record: RunRecord) -> str:
    """Labelled images of training and validation, and test images per data set."""
    labels = record.test.run.get("labels")
    used = labels and f"labels used: {labels['train']} for training, {labels['val']} for validation"
    return joined(used, each(record.metrics, lambda metrics: f"{metrics['n']} test images, {metrics['groups']} groups"))


def flow(record: RunRecord) -> str:
    """How many of the available images each split holds, and how many were dropped as copies."""
    splits = record.manifest.get("splits") or {}
    numbers = (f"{name}: {one['rows']} of {sum(one['available'].values())} images" for name, one in splits.items())
    dropped = pairs(at(record.manifest, "leakage.dropped"), splits)
    return joined(*numbers, dropped and f"dropped as copies of another split's images: {dropped}")


def slices(record: RunRecord) -> str:
    """Number of test images per value of each slice column."""
    return each(record.metrics, _slices)


def _slices(metrics: Metrics) -> str:
    found = metrics.get("slices") or {}
    counts = {
        name: [f"{value} {one['n']}" for value, one in values.items() if isinstance(one, dict) and "n" in one]
        for name, values in found.items()
    }
    return joined(*(f"test images by {short(name)}: {listed(numbers)}" for name, numbers in counts.items()))


FILLERS = fillers(data_source, modality, data_elements, reference_standard, preprocessing, subsets, partitions,
                  distribution, disjoint, missing_data, sample_size, flow, slices)  # fmt: skip
