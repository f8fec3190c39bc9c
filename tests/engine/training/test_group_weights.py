"""The weights of groups are what their formulas say, with mean 1 over the rows that the training draws."""

from collections import Counter

import numpy as np
import pytest
from omegaconf import OmegaConf
from repository import composed
from toy_data import compose_config

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.engine.training.group_weights import GroupWeights, WeightRule, agreement, measures, spread
from vrft_aug.errors import InputError

GRADES = ["0", "1", "2", "3", "4"]


def row(truth="0", *readers, task="grading", classes=GRADES, source="toy"):
    info = {"task": task, "classes": classes, "aliases": [],
            "readers": [{"name": str(i), "value": value} for i, value in enumerate(readers)]}  # fmt: skip
    return {"data_source": source, "reward_model": {"ground_truth": truth}, "extra_info": info}


def weights(rows, balanced=False, **rule):
    rule = WeightRule(**{"rarity": 0, "agreement": 0, "spread": 0} | rule)
    return GroupWeights.of_rows(rule, rows, balanced)


TWENTY_TO_ONE = [row("0")] * 20 + [row("1")]


@pytest.mark.parametrize(("rarity", "common", "rare"), [
    (0, 1, 1),
    (1, 21 / 40, 21 / 2),                                      # each class weighs 10.5 in total
    (0.5, 21 / (20 + 20**0.5), 21 * 20**0.5 / (20 + 20**0.5)),  # the rare one weighs the root of 20 times as much
])  # fmt: skip
def test_a_rare_class_weighs_more(rarity, common, rare):
    found = weights(TWENTY_TO_ONE, rarity=rarity)
    assert [found.of_row(row("0")), found.of_row(row("1"))] == pytest.approx([common, rare])
    assert np.mean([found.of_row(one) for one in TWENTY_TO_ONE]) == pytest.approx(1)


def test_with_balanced_batches_the_mean_over_the_classes_is_one():
    found = weights(TWENTY_TO_ONE, rarity=1, balanced=True)
    assert [found.of_row(row("0")), found.of_row(row("1"))] == pytest.approx([2 / 21, 40 / 21])


def test_the_same_word_of_two_data_sets_is_two_classes():
    rows = [row("0")] * 3 + [row("0", source="other")]
    assert weights(rows, rarity=1).of_row(rows[3]) == pytest.approx(3 * weights(rows, rarity=1).of_row(rows[0]))


@pytest.mark.parametrize(("readers", "expected"), [
    ((), 1), (("2",), 1), (("2", ""), 1), (("2", "2"), 1), (("2", "3"), 3 / 4), (("0", "4"), 0),
    (("1", "1", "3"), 1 - (0 + 2 + 2) / 3 / 4),
])  # fmt: skip
def test_how_far_readers_of_grades_agree(readers, expected):
    assert agreement(row("2", *readers)["extra_info"]) == pytest.approx(expected)


def test_classes_have_no_distance():
    info = row("a", "a", "c", "a", task="classification", classes=["a", "b", "c"])["extra_info"]
    assert agreement(info) == pytest.approx(1 / 3)


def test_what_the_readers_disagree_about_weighs_less():
    rows = [row("1", "1", "1"), row("2", "1", "3"), row("2")]  # they agree by 1, 1/2, 1
    for strength in (1, 0.5):
        plain = np.array([1, 1 - strength / 2, 1])
        assert [weights(rows, agreement=strength).of_row(one) for one in rows] == pytest.approx(plain / plain.mean())


@pytest.mark.parametrize(("answers", "expected"), [
    (["a"] * 8, 0), (["a"], 0), ([""] * 8, 0), (list("abcdefgh"), 1), (["a"] * 4 + [""] * 4, np.log(2) / np.log(8)),
])  # fmt: skip
def test_how_far_answers_differ(answers, expected):
    assert spread(answers) == pytest.approx(expected)


def test_the_spread_of_the_answers_has_mean_one_in_each_step():
    rows, answers = [row()] * 3, [["0"] * 4, ["0", "0", "1", "1"], ["0", "1", "2", "3"]]  # 0, 1/2, 1
    for strength, plain in ((1, [0, 0.5, 1]), (0.5, [0.5, 0.75, 1]), (-1, [1, 0.5, 0]), (-0.5, [1, 0.75, 0.5])):
        found = weights(rows, spread=strength).of_groups(rows, answers)
        assert found == pytest.approx(np.array(plain) / np.mean(plain))
    assert weights(rows, spread=1).of_groups(rows, answers[:1] * 3) == [1, 1, 1]  # a weight of 0 for all is none


def test_weights_multiply():
    rows = [row("0", "0", "0"), row("0", "0", "4"), row("1", "1", "1")]
    both = weights(rows, rarity=1, agreement=0.5, spread=1)
    fixed = np.array([1 / 2, 1 / 2 * 0.5, 1])
    expected = fixed / fixed.mean() * (np.array([0, 1, 1]) / (2 / 3))
    assert both.of_groups(rows, [["0", "0"], ["0", "1"], ["1", "2"]]) == pytest.approx(expected)
    assert measures([1, 2, 6]) == {"group_weight/mean": 3, "group_weight/min": 1, "group_weight/max": 6}


@pytest.mark.parametrize(("rows", "rule", "line"), [
    ([row()], {"rarity": 2}, r"^group_weight\.rarity=2: must be a number from 0 to 1; 0 is off$"),
    ([row()], {"agreement": "much"}, r"^group_weight\.agreement=much: must be a number from 0 to 1; 0 is off$"),
    ([row()], {"spread": -2}, r"^group_weight\.spread=-2: must be a number from -1 to 1; 0 is off$"),
    ([row(), row(task="localization")], {"rarity": 1}, r"^group_weight: boxes have neither classes nor readers; set"),
    ([row(task="question")], {"rarity": 1}, r"^group_weight\.rarity=1: each question has options of its own"),
    ([row(), row("1", "1")], {"agreement": 1}, r"^group_weight\.agreement=1: no training row has the grades of two .*"),
    ([row("1", "1", "9")], {"agreement": 1}, r"^reader 1 gives '9', which is not among the row's classes .*$"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(rows, rule, line):
    with pytest.raises(InputError, match=line):
        weights(rows, **rule)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """84 training rows of phantom_rare: 40, 40, 2 and 2 of each class."""
    folder = tmp_path_factory.mktemp("rows")
    prepare(compose_config("dataset=phantom_rare", "dataset.loader.train=84", "dataset.loader.val=13",
                           "dataset.loader.test=13", f"out={folder}"), None)  # fmt: skip
    return folder


def config(folder, *overrides):
    return OmegaConf.create(OmegaConf.to_container(composed("grpo", "dataset=phantom_rare", *overrides)) | {
        "data": {"train_files": [f"{folder}/train.parquet"], "balanced": False}})  # fmt: skip


def test_the_rows_of_a_training_are_counted(prepared):
    found = GroupWeights.of(config(prepared, "group_weight.rarity=1"))
    assert sorted(found.counts.values()) == [2, 2, 40, 40] and Counter(found.counts).total() == 84
    with pytest.raises(InputError, match=r"group_weight\.agreement=1: no training row"):
        GroupWeights.of(config(prepared, "group_weight.agreement=1"))


def test_without_a_strength_no_row_is_read(tmp_path):
    assert GroupWeights.of(config(tmp_path)) is None
