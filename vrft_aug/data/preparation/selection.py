"""Chooses the rows of each split: indexes the source without opening an image, checks it, and draws k per class."""

import hashlib
import warnings
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, compress
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from vrft_aug.data.datasets.sample import SPLITS, DataWarning, Sample
from vrft_aug.data.preparation.strata import Ints, Positions, bounded_draw, draw, per_class
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Load, PreparationRule
from vrft_aug.errors import InputError

PROMPTS = {"box": "prompt=localize", "boxes": "prompt=localize_all"}
PAPER_CAP = 256  # images per class in the paper's largest setting


@dataclass(frozen=True)
class Index:
    """What a draw needs to know of a split, each (N,): labels, whether a box is known, hashes of ids and groups."""

    labels: Ints
    boxed: NDArray[np.bool_]
    ids: NDArray[np.uint64]
    groups: NDArray[np.uint64]
    origins: frozenset[Path]


def read_index(samples: Iterable[Sample], dataset: Dataset, needs: str) -> Index:
    """Read a split without opening an image. needs: see Prompt.needs; "image" reads no label: each becomes -1.

    Raises InputError for a label that is not a class.
    """
    number = len(dataset.classes)
    labels, ids, groups = array("q"), array("Q"), array("Q")  # 8 bytes per sample; a list of numbers takes 40
    boxed, origins = bytearray(), set()
    for sample in samples:
        label = -1 if needs == "image" else sample.label
        if not -1 <= label < number:
            raise InputError(f"{sample.source_id}: label {sample.label} is outside 0..{number - 1}; correct it, or the "
                             f"classes in conf/dataset/{dataset.name}.yaml")
        labels.append(label)
        boxed.append(sample.is_boxed(needs))
        ids.append(digest(sample.source_id))
        groups.append(ids[-1] if sample.group_id == sample.source_id else digest(sample.group_id))
        if sample.origin:
            origins.add(sample.origin)
    return Index(np.array(labels, np.int64), np.frombuffer(boxed, bool), np.array(ids, np.uint64),
                 np.array(groups, np.uint64), frozenset(origins))


def digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def check_indexes(indexes: Mapping[str, Index], load: Load) -> None:
    """Raise InputError if a source id occurs twice, or a group is in two splits."""
    ids, times = np.unique(np.concatenate([index.ids for index in indexes.values()]), return_counts=True)
    if (times > 1).any():
        twice = set(ids[times > 1].tolist())
        name = next(s.source_id for split in SPLITS for s in load(split) if digest(s.source_id) in twice)
        raise InputError(f"{name}: this id occurs more than once in the data; remove or rename one of the entries")
    for a, b in combinations(SPLITS, 2):
        if shared := set(np.intersect1d(indexes[a].groups, indexes[b].groups).tolist()):
            name = next(s.group_id for s in load(a) if digest(s.group_id) in shared)
            raise InputError(f"group '{name}' is in {a} and in {b}; put all of a group (patient, lesion) in one split")


def select(rule: PreparationRule, dataset: Dataset, needs: str, indexes: Mapping[str, Index]) -> dict[str, Positions]:
    """The positions of the samples that each split's file gets. needs: see Prompt.needs.

    `shots` counts labels, so it does not bound the images of a prompt that needs no label. A data set with test images
    alone is an external test set: nothing is drawn for training and validation.
    Raises InputError for an empty split or class, and for more `shots` than a class has.
    """
    if needs == "image":
        rule = replace(rule, protocol="full", shots=None, validation=rule.validation | {"per_class": None})
    usable = {split: np.flatnonzero(usable_for(needs, index)) for split, index in indexes.items()}
    if needs == "label":
        warn_of_unlabelled(indexes)
    external = not any(len(indexes[split].labels) for split in ("train", "val"))
    if external:
        warnings.warn("only test images: an external test set, which trains nothing", DataWarning, stacklevel=2)
    for split in ("test",) if external else SPLITS:
        if not usable[split].size:
            refuse_empty(dataset, split, needs, known=len(indexes[split].labels) > 0)
    labels = {split: indexes[split].labels[usable[split]] for split in SPLITS}
    chosen = {
        "train": draw_train(rule, dataset, labels["train"], lenient=needs != "label" or rule.partial or external),
        "val": bounded_draw(labels["val"], rule.validation["per_class"], rule.validation["total"],
                            generator(rule.seed, "val")),
        "test": draw_test(rule, dataset, labels["train"], labels["test"]),
    }
    for split, limit in rule.limit.items():
        if limit is not None and limit < len(chosen[split]):
            rng = generator(rule.test_seed if split == "test" else rule.seed, f"limit {split}")
            chosen[split] = np.sort(rng.permutation(chosen[split])[:limit])
    return {split: usable[split][chosen[split]] for split in SPLITS}


def usable_for(needs: str, index: Index) -> NDArray[np.bool_]:
    """Whether each image comes with what a prompt needs, (N,)."""
    if needs == "image":
        return np.ones(len(index.labels), bool)
    return index.labels >= 0 if needs == "label" else index.boxed


def refuse_empty(dataset: Dataset, split: str, needs: str, known: bool) -> NoReturn:
    """Raise InputError: no image of the split can be used. known: there are images without what the prompt needs."""
    what = f"image with a box, which {PROMPTS[needs]} needs" if needs in PROMPTS else "image"
    what += " with a label" * (needs == "label" and known)
    module = dataset.loader["_target_"].rpartition(".")[0]
    raise InputError(f"dataset {dataset.name}: the {split} split has no {what}; {module} describes the files")


def draw_train(rule: PreparationRule, dataset: Dataset, labels: Ints, lenient: bool) -> Positions:
    """All training images, or `shots` per class. The paper takes two sets whole in its largest setting.

    lenient: a class may have no image.
    """
    names = dataset.classes
    counts = per_class(labels, len(names))
    if not (lenient or counts.all()):
        raise InputError(f"class '{names[int(counts.argmin())]}' has no training image; add some, remove the class "
                         f"from conf/dataset/{dataset.name}.yaml, or continue with partial=true")
    paper_whole = rule.protocol == "paper" and dataset.paper_train == "whole" and rule.shots == PAPER_CAP
    if rule.shots is None or paper_whole:
        return np.arange(len(labels))
    check_shots(counts, rule.shots, rule.up_to, names, lenient)
    return draw(labels, np.minimum(rule.shots, counts), generator(rule.seed, "train"))


def check_shots(counts: Ints, shots: int, up_to: int, classes: Sequence[str], lenient: bool) -> None:
    """Raise InputError if a class has fewer than `shots` images, unless `shots == up_to` ("up to k" in the paper)."""
    for number, name in sorted(zip(counts.tolist(), classes, strict=True)):  # the smallest class sets the limit
        if number < shots != up_to and not (lenient and number == 0):
            remedy = f"shots={counts[counts > 0].min()} or less, or up_to={shots} to take smaller classes whole"
            raise InputError(f"shots={shots}: class '{name}' has {number} training images; use {remedy}")


def draw_test(rule: PreparationRule, dataset: Dataset, train: Ints, test: Ints) -> Positions:
    """The whole test split, or the paper's smaller test set: floor(min(256, n_train) / 4) images per class.

    train, test: labels.
    """
    if rule.protocol == "full" or dataset.paper_test != "quarter":
        return np.arange(len(test))
    wanted = np.minimum(PAPER_CAP, per_class(train, len(dataset.classes))) // 4
    return draw(test, wanted, generator(rule.test_seed, "test"))


def warn_of_unlabelled(indexes: Mapping[str, Index]) -> None:
    for split, index in indexes.items():
        if number := int((index.labels < 0).sum()):
            text = f"{split}: {number} images without a label are left out; a pretext (prompt=restore) can use them"
            warnings.warn(text, DataWarning, stacklevel=3)


def warn_of_missing_classes(dataset: Dataset, indexes: Mapping[str, Index], chosen: Mapping[str, Positions]) -> None:
    """Warn of classes that the chosen validation or test images lack: they change what balanced accuracy means."""
    for split in ("val", "test") if len(chosen["train"]) else ("test",):
        counts = per_class(indexes[split].labels[chosen[split]], len(dataset.classes))
        missing = [f"'{name}'" for name, number in zip(dataset.classes, counts, strict=True) if not number]
        if missing and counts.any():
            text = f"{split} has no image of {', '.join(missing)}: balanced accuracy is the mean over the other classes"
            warnings.warn(text, DataWarning, stacklevel=2)


def pick(samples: Iterable[Sample], positions: Positions) -> Iterator[Sample]:
    """The samples at `positions`. It stops reading after the last of them."""
    return compress(samples, np.isin(np.arange(positions.max(initial=-1) + 1), positions))
