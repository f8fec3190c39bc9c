"""Draws from the published class counts, and splits by group."""

from dataclasses import replace

import numpy as np
import pytest
from toy_data import compose_config, dataset_yaml

from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.sample import DataWarning
from vrft_aug.data.preparation.selection import Index, select, warn_of_missing_classes
from vrft_aug.data.settings import Dataset, PreparationRule
from vrft_aug.errors import InputError

PUBLISHED = {  # images per class: train, test, and the size of the paper's test set
    "breast": ([147, 399], [42, 114], 156),
    "pneumonia": ([1214, 3494], [234, 390], 624),
    "oct": ([33484, 10213, 7754, 46026], [250] * 4, 256),
    "retina": ([486, 128, 206, 194, 66], [174, 46, 92, 68, 20], 400),
    "derma": ([228, 359, 769, 80, 779, 4693, 99], [66, 103, 220, 23, 223, 1341, 29], 357),
    "tissue": ([53075, 7814, 5866, 15406, 11789, 7705, 39203, 24608],
               [15165, 2233, 1677, 4402, 3369, 2202, 11201, 7031], 512),
    "blood": ([852, 2181, 1085, 2026, 849, 993, 2330, 1643], [244, 624, 311, 579, 243, 284, 666, 470], 512),
    "organa": ([1956, 1390, 1357, 1474, 3963, 3817, 6164, 3919, 3929, 3031, 3561],
               [1036, 784, 793, 785, 2064, 1965, 3285, 1747, 1813, 1622, 1884], 704),
}


def index(counts):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    nothing = np.zeros(len(labels), np.uint64)
    return Index(labels, np.zeros(len(labels), bool), nothing, nothing, frozenset())


def drawn(name, val=None, **changes):
    train, test, _ = PUBLISHED[name]
    indexes = {"train": index(train), "val": index(val or [10] * len(train)), "test": index(test)}
    shots = [f"shots={changes['shots']}"] if "shots" in changes else []  # the bound of the validation draw follows it
    dataset, rule = Dataset.of(dataset_yaml(name)), replace(PreparationRule.of(compose_config(*shots)), **changes)
    positions = select(rule, dataset, "label", indexes)
    return {split: indexes[split].labels[positions[split]] for split in positions}, positions


@pytest.mark.parametrize("name", PUBLISHED)
def test_paper_protocol_has_the_papers_test_sets(name):
    labels, _ = drawn(name, protocol="paper", shots=256)
    assert len(labels["test"]) == PUBLISHED[name][2]
    if name == "derma":
        assert np.bincount(labels["test"]).tolist() == [57, 64, 64, 20, 64, 64, 24]
    whole = name in ("breast", "retina")
    expected = PUBLISHED[name][0] if whole else [min(256, n) for n in PUBLISHED[name][0]]
    assert np.bincount(labels["train"]).tolist() == expected


def test_full_protocol_keeps_the_official_test_split():
    labels, _ = drawn("derma", shots=10)
    assert len(labels["test"]) == 2005
    assert np.bincount(labels["train"]).tolist() == [10] * 7


def test_the_test_set_depends_on_neither_shots_nor_seed():
    sets = [drawn("oct", protocol="paper", shots=shots, seed=seed)[1]["test"] for shots, seed in ((10, 0), (20, 5))]
    assert np.array_equal(*sets)
    assert not np.array_equal(sets[0], drawn("oct", protocol="paper", test_seed=1)[1]["test"])


def test_fewer_shots_lie_within_more_and_seeds_differ():
    ten, twenty = (set(drawn("blood", shots=shots)[1]["train"].tolist()) for shots in (10, 20))
    assert ten < twenty
    assert ten != set(drawn("blood", shots=10, seed=1)[1]["train"].tolist())


def test_more_shots_than_a_class_holds():
    with pytest.raises(InputError, match=r"shots=100: class '4' has 66 .*shots=66 or less, or up_to=100"):
        drawn("retina", shots=100)
    with pytest.raises(InputError, match="class '4'"):
        drawn("retina", shots=1000)
    labels, _ = drawn("retina", shots=100, up_to=100)
    assert np.bincount(labels["train"]).tolist() == [100, 100, 100, 100, 66]
    labels, _ = drawn("retina", shots=256)  # the paper's "up to 256"
    assert np.bincount(labels["train"]).tolist() == [256, 128, 206, 194, 66]


TISSUE_VAL = [7581, 1116, 838, 2201, 1684, 1101, 5601, 3518]  # 23,640 images


@pytest.mark.parametrize(("shots", "per_class"), [(10, [10] * 8), (20, [20] * 8), (256, [32] * 8)])
def test_validation_has_no_more_images_per_class_than_training_has_shots(shots, per_class):
    labels, _ = drawn("tissue", val=TISSUE_VAL, shots=shots)
    assert np.bincount(labels["val"]).tolist() == per_class


def test_validation_keeps_the_shares_of_the_classes():
    labels, _ = drawn("tissue", val=TISSUE_VAL)
    assert np.bincount(labels["val"]).tolist() == [82, 12, 9, 24, 18, 12, 61, 38]
    labels, _ = drawn("tissue", val=TISSUE_VAL, shots=10, validation={"per_class": None, "total": None})
    assert len(labels["val"]) == sum(TISSUE_VAL)


def test_a_set_that_the_paper_takes_whole_is_bounded_by_its_shots():
    labels, _ = drawn("breast", val=[21, 57], protocol="paper", shots=256)
    assert np.bincount(labels["val"]).tolist() == [21, 57]


def test_a_limit_applies_to_what_the_validation_draw_left():
    limit = {"train": None, "val": 5, "test": None}
    bounded, limited = (set(drawn("tissue", val=TISSUE_VAL, shots=10, **more)[1]["val"].tolist())
                        for more in ({}, {"limit": limit}))
    assert len(limited) == 5 and limited < bounded


def test_the_validation_draw_follows_the_seed_and_fewer_shots_lie_within_more():
    ten, twenty, other = (set(drawn("tissue", val=TISSUE_VAL, shots=shots, seed=seed)[1]["val"].tolist())
                          for shots, seed in ((10, 0), (20, 0), (10, 1)))
    assert ten < twenty and ten != other


def test_images_without_a_label_count_as_one_class_of_the_validation():
    """For prompt=localize: a box is known, the diagnosis is not."""
    labels = np.array([-1] * 30 + [0] * 10)
    known = np.ones(40, bool)
    one = Index(labels, known, np.zeros(40, np.uint64), np.zeros(40, np.uint64), frozenset())
    rule = PreparationRule.of(compose_config("validation.per_class=15", "validation.total=10"))
    indexes = dict.fromkeys(("train", "val", "test"), one)
    positions = select(rule, Dataset.of(dataset_yaml("folder")), "box", indexes)
    assert np.bincount(labels[positions["val"]] + 1).tolist() == [6, 4]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_without_images_is_a_warning(split):
    dataset, full, short = Dataset.of(dataset_yaml("folder")), index([5, 5]), index([5, 0])
    indexes = {"train": full, "val": full, "test": full} | {split: short}
    chosen = {name: np.arange(len(one.labels)) for name, one in indexes.items()}
    with pytest.warns(DataWarning) as heard:
        warn_of_missing_classes(dataset, indexes, chosen)
    assert [str(one.message) for one in heard] == [
        f"{split} has no image of 'positive': balanced accuracy is the mean over the other classes"]


def test_groups_stay_together_and_shares_are_met():
    rng = np.random.default_rng(3)
    groups = [f"lesion {n}" for n in rng.integers(0, 500, 1000)]
    labels = [int(group.split()[1]) % 3 for group in groups]
    homes = split_by_group(labels, groups, test=0.2, val=0.1, seed=0)
    assert all(len({home for home, g in zip(homes, groups, strict=True) if g == group}) == 1 for group in set(groups))
    shares = {split: homes.count(split) / 1000 for split in ("test", "val")}
    assert shares == pytest.approx({"test": 0.2, "val": 0.1}, abs=0.01)
    assert homes == split_by_group(labels, groups, test=0.2, val=0.1, seed=0)
    assert homes != split_by_group(labels, groups, test=0.2, val=0.1, seed=1)
