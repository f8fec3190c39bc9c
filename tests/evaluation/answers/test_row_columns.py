"""Slices and readers of a prepared row become columns of the predictions, whoever answers."""

import numpy as np
import pandas as pd

from vrft_aug.evaluation.answers import linear
from vrft_aug.evaluation.answers.predict import predict
from vrft_aug.evaluation.answers.row_columns import READER, SLICE, names_of, row_columns
from vrft_aug.rewards import compose

INFO = {"task": "classification", "index": 0, "source_id": "one", "group_id": "p", "classes": np.array(["a", "b"])}
THINKS = {"form": "think_first"}
TAGS = {"slices": np.array([{"name": "sex", "value": "F"}, {"name": "site (city)", "value": ""}]),
        "readers": np.array([{"name": "R", "value": "a"}])}  # fmt: skip


def test_each_tag_is_a_column():
    found = row_columns(INFO | TAGS)
    assert found == INFO | THINKS | {"classes": ["a", "b"], "slice_sex": "F", "slice_site (city)": "", "reader_R": "a"}
    assert names_of(SLICE, found) == ["sex", "site (city)"] and names_of(READER, found) == ["R"]


def test_rows_of_an_earlier_version_have_none():
    for info in (INFO, INFO | {"slices": None, "readers": np.array([])}):
        assert row_columns(info) == INFO | THINKS | {"classes": ["a", "b"]}
    assert row_columns(INFO | {"form": "answer_only"})["form"] == "answer_only"


def test_the_policys_and_the_opponents_predictions_have_the_same_columns():
    rows = pd.DataFrame([{"data_source": "toy", "prompt": [{"role": "user", "content": "<image>What?"}],
                          "reward_model": {"ground_truth": "a"}, "extra_info": INFO | TAGS | {"prompt": "What?"}}])
    responses = [[("\\boxed{a}", 3), ("\\boxed{b}", 3)]]
    answered = predict(rows.assign(images=[[{"bytes": b""}]]), compose("accuracy"), lambda *_: responses)
    assert answered["slice_sex"].to_list() == ["F", "F"] and answered["reader_R"].to_list() == ["a", "a"]
    regression = linear._table(rows.set_axis([7]), ["b"], pd.DataFrame([{"a": 0.2, "b": 0.8}]))
    for column in ("slice_sex", "slice_site (city)", "reader_R", "source_id"):
        assert regression[column].to_list() == answered[column].to_list()[:1]
    assert regression["probabilities"].to_list() == [[0.2, 0.8]]
