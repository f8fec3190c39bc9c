"""Noise in the supervised labels: it has the wanted share, only in training, and never changes the ground truth."""

import pyarrow.parquet as pq
import pytest
from toy_data import compose_config

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError

SIZES = ("dataset.loader.train=520", "dataset.loader.val=52", "dataset.loader.test=13")


def taught_the_truth(folder, split) -> float:
    """Share of supervised answers that state the ground truth of their row."""
    truths = [row["ground_truth"] for row in pq.read_table(folder / f"{split}.parquet")["reward_model"].to_pylist()]
    answers = [row[1]["content"] for row in pq.read_table(folder / f"sft_{split}.parquet")["messages"].to_pylist()]
    return sum(f"\\boxed{{{truth}}}" in answer for truth, answer in zip(truths, answers, strict=True)) / len(truths)


def test_the_share_of_random_answers(tmp_path):
    prepare(compose_config("dataset=phantom", "label_noise=0.6", f"out={tmp_path / 'out'}", *SIZES), None)
    assert taught_the_truth(tmp_path / "out", "train") == pytest.approx(0.4 + 0.6 / 4, abs=0.07)
    assert taught_the_truth(tmp_path / "out", "val") == 1


def test_a_share_outside_0_and_1_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"label_noise=1\.5: must be a share between 0 and 1"):
        prepare(compose_config("dataset=phantom", "label_noise=1.5", f"out={tmp_path / 'out'}", *SIZES), None)
