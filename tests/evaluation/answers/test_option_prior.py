"""The option prior: the most frequent answer of the training among a question's options, by hand."""

import pandas as pd
import pytest
from toy_data import compose_config, write_toy

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.evaluation.answers.opponents import OPPONENTS
from vrft_aug.evaluation.answers.predict import read_rows
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.evaluation.usual import all_opponents, conditions, opponents

PRIOR = OPPONENTS["prior"]


def row(options, answer, kind, number=0):
    slices = [{"name": "type", "value": kind}] if kind else []
    info = {"task": "question", "index": number, "source_id": f"q{number}", "group_id": f"i{number}",
            "classes": options, "slices": slices, "readers": [], "form": "think_first"}  # fmt: skip
    return {"data_source": "toy", "reward_model": {"style": "rule", "ground_truth": answer}, "extra_info": info}


def answers(tmp_path, train, test):
    pd.DataFrame([row(*one, number) for number, one in enumerate(train)]).to_parquet(tmp_path / "train.parquet")
    rows = pd.DataFrame([row(*one, number) for number, one in enumerate(test)])
    return PRIOR.answer(tmp_path, rows, None)


YES_NO = ["yes", "no"]
TRAIN = [(YES_NO, "no", "presence")] * 3 + [(YES_NO, "yes", "presence")] * 2 + [(YES_NO, "yes", "size")] * 4


@pytest.mark.parametrize(("question", "chosen"), [
    ((YES_NO, "yes", "presence"), "no"),  # 3 of 5 of this type
    ((YES_NO, "no", "size"), "yes"),
    ((YES_NO, "no", "colour"), "yes"),  # no such type in the training: 6 of all 9
    ((["No", "maybe"], "maybe", "presence"), "No"),
    ((["left", "right"], "right", "presence"), "left"),  # nothing is known: the first in the prompt
])  # fmt: skip
def test_the_most_frequent_answer_of_the_type_and_then_of_all(tmp_path, question, chosen):
    found = answers(tmp_path, TRAIN, [question])
    assert found["prediction"].tolist() == [chosen]
    assert found["acc"].tolist() == [float(chosen == question[1])]


def test_without_types_all_training_questions_count(tmp_path):
    assert answers(tmp_path, [(YES_NO, "no", "")] * 2 + [(YES_NO, "yes", "")],
                   [(YES_NO, "no", "")])["prediction"].tolist() == ["no"]  # fmt: skip


def test_its_predictions_can_be_measured(tmp_path):
    data_root = tmp_path / "raw"
    write_toy(data_root, "slake")
    prepare(compose_config("dataset=slake", f"data_root={data_root}", f"out={tmp_path / 'rows'}"), None)
    rows = read_rows(tmp_path / "rows", "test")
    assert PRIOR.obstacle(tmp_path / "rows", "test", rows) == ""
    found = measure(PRIOR.answer(tmp_path / "rows", rows, None))["slake/question"]
    assert found["n"] == 12 and 0 < found["accuracy"]["value"] < 1
    assert PRIOR.obstacle(tmp_path / "rows", "train", rows) == "it would answer the rows that it counts"
    assert OPPONENTS["pixels"].obstacle(tmp_path / "rows", "test", rows) == "each question has options of its own"


def test_other_tasks_have_another_prior(tmp_path):
    rows = pd.DataFrame([row(YES_NO, "no", "")])
    rows["extra_info"].iloc[0]["task"] = "classification"
    assert "constant predictor" in PRIOR.obstacle(tmp_path, "test", rows)


def test_questions_are_compared_with_the_text_alone_and_the_prior():
    asked = compose_config("dataset=vqa_rad", root="evaluate")
    assert asked.conditions == conditions("question") == ["shuffled", "blank"]
    assert asked.opponents == opponents("question") == ["prior"]
    assert compose_config("dataset=blood", root="evaluate").conditions == ["shuffled"]
    assert compose_config("dataset=blood", root="evaluate").opponents == ["pixels"]
    journal = compose_config("dataset=vqa_rad", "preset=journal", root="evaluate")
    assert journal.opponents == all_opponents("question") == ["prior"] and "blank" in journal.conditions
    assert compose_config("preset=journal", root="evaluate").opponents == ["pixels", "features"]
