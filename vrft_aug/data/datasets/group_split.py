"""Splits a data set into train, val and test, and keeps a group (patient, lesion) in one split."""

from collections import Counter
from collections.abc import Sequence

from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError


def split_by_group(labels: Sequence[int], groups: Sequence[str], test: float, val: float, seed: int) -> list[str]:
    """The split of each sample. Per class, whole groups in random order fill test and val up to their shares.

    The class of its first sample decides for a group with several classes. test=1, val=0: an external test set, which
    trains nothing. Raises InputError for impossible shares.
    """
    fit = all(isinstance(share, int | float) and share >= 0 for share in (test, val))
    if not fit or (test + val >= 1 and (test, val) != (1, 0)):
        raise InputError(f"dataset.loader.test={test}, dataset.loader.val={val}: must be shares from 0 to 1 that leave "
                         "images for training, as 0.2 and 0.1; or test=1 and val=0 for an external test set")
    first = {group: i for i, group in reversed(list(enumerate(groups)))}
    sizes = Counter(groups)
    home: dict[str, str] = {}
    rng = generator(seed, "split")
    for label in sorted(set(labels)):
        members = sorted(group for group, i in first.items() if labels[i] == label)
        total = sum(sizes[group] for group in members)
        room = {"test": test * total, "val": val * total, "train": float("inf")}
        for j in rng.permutation(len(members)):
            size = sizes[members[j]]
            home[members[j]] = next(split for split in room if size / 2 <= room[split])
            room[home[members[j]]] -= size
    return [home[group] for group in groups]
