"""Which rows a split gets: index the source without opening an image, check it, draw."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrft_aug.data.datasets.sample import SPLITS, Sample
from vrft_aug.data.preparation import sampling
from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError

Load = Callable[[str], Iterable[Sample]]  # split -> its samples, in the data set's order
Positions = NDArray[np.int64]  # ascending, into that order


@dataclass(frozen=True)
class Index:
    """What a draw needs to know of a split: labels (N,), whether a box is known (N,), hashes of ids and groups (N,)."""

    labels: NDArray[np.int64]
    boxed: NDArray[np.bool_]
    ids: NDArray[np.uint64]
    groups: NDArray[np.uint64]
    origins: frozenset[Path]


def read_index(samples: Iterable[Sample], dataset: Mapping[str, Any], task: str) -> Index:
    """Go over a split without opening an image; checks the labels."""
    number, origins = len(dataset["classes"]), set()
    labels, boxed, ids, groups = [], [], [], []
    for sample in samples:
        unlabelled = sample.label == -1 and task == "localization"
        if not (0 <= sample.label < number or unlabelled):
            raise InputError(f"{sample.source_id}: label {sample.label} is outside 0..{number - 1}; correct it, or the "
                             f"classes in conf/dataset/{dataset['name']}.yaml")
        labels.append(sample.label)
        boxed.append(sample.box is not None)
        ids.append(digest(sample.source_id))
        groups.append(ids[-1] if sample.group_id == sample.source_id else digest(sample.group_id))
        origins.add(sample.origin)
    hashes = (np.array(column, np.uint64) for column in (ids, groups))
    return Index(np.array(labels, np.int64), np.array(boxed, bool), *hashes, frozenset(origins - {None}))


def digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def check_indexes(indexes: Mapping[str, Index], load: Load) -> None:
    """No source id twice, no group in two splits."""
    ids, times = np.unique(np.concatenate([index.ids for index in indexes.values()]), return_counts=True)
    if (times > 1).any():
        twice = set(ids[times > 1].tolist())
        name = next(s.source_id for split in SPLITS for s in load(split) if digest(s.source_id) in twice)
        raise InputError(f"{name}: this id stands in the data more than once; remove or rename one of the entries")
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = set(np.intersect1d(indexes[a].groups, indexes[b].groups).tolist())
        if shared:
            name = next(s.group_id for s in load(a) if digest(s.group_id) in shared)
            raise InputError(f"group '{name}' is in {a} and in {b}; put all of a group (patient, lesion) in one split")


def draw(
    config: Mapping[str, Any], dataset: Mapping[str, Any], task: str, indexes: Mapping[str, Index]
) -> dict[str, Positions]:
    """Positions, ascending, of the samples that each split's file gets. `config`: conf/prepare.yaml."""
    localize = task == "localization"
    usable = {split: np.flatnonzero(index.boxed | (not localize)) for split, index in indexes.items()}
    for split in SPLITS:
        if not usable[split].size:
            what = "image with a box, which prompt=localize needs" if localize else "image"
            raise InputError(f"dataset {dataset['name']}: the {split} split has no {what}; the files it expects are "
                             f"described in {dataset['loader']['_target_'].rpartition('.')[0]}")
    labels = {split: indexes[split].labels[usable[split]] for split in SPLITS}
    chosen = {
        "train": draw_train(config, dataset, labels["train"], lenient=localize or config["partial"]),
        "val": np.arange(len(labels["val"])),
        "test": draw_test(config, dataset, labels["train"], labels["test"]),
    }
    for split, limit in config["limit"].items():
        if limit is not None and limit < len(chosen[split]):
            rng = generator(config["test_seed" if split == "test" else "seed"], f"limit {split}")
            chosen[split] = np.sort(rng.permutation(chosen[split])[:limit])
    return {split: usable[split][chosen[split]] for split in SPLITS}


def draw_train(config: Mapping[str, Any], dataset: Mapping[str, Any], labels: Positions, lenient: bool) -> Positions:
    """All, or `shots` a class; the paper uses two sets whole in its largest setting. lenient: classes may be empty."""
    names, shots = dataset["classes"], config["shots"]
    counts = sampling.count(labels, len(names))
    if not (lenient or counts.all()):
        raise InputError(f"class '{names[int(counts.argmin())]}' has no training image; add some, take the class out "
                         f"of conf/dataset/{dataset['name']}.yaml, or go on with partial=true")
    whole = config["protocol"] == "paper" and dataset.get("paper_train") == "whole" and shots == sampling.PAPER_CAP
    if shots is None or whole:
        return np.arange(len(labels))
    wanted = sampling.shots_wanted(counts, shots, config["up_to"], names, present_only=lenient)
    return sampling.draw(labels, wanted, generator(config["seed"], "train"))


def draw_test(config: Mapping[str, Any], dataset: Mapping[str, Any], train: Positions, test: Positions) -> Positions:
    """The whole test split, or the sub-sampled test set behind the paper's tables. train, test: labels."""
    if config["protocol"] == "full" or dataset.get("paper_test") != "quarter":
        return np.arange(len(test))
    wanted = sampling.paper_test_counts(sampling.count(train, len(dataset["classes"])))
    return sampling.draw(test, wanted, generator(config["test_seed"], "test"))


def pick(samples: Iterable[Sample], positions: Positions) -> Iterator[Sample]:
    """The samples at ascending `positions`; what comes after the last is not read."""
    wanted = iter(positions.tolist())
    position = next(wanted, None)
    for i, sample in enumerate(samples):
        if position is None:
            return
        if i == position:
            yield sample
            position = next(wanted, None)
