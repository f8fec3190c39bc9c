"""Tests scoring of answers, the vote of several samples, and how class probabilities join the table."""

import json

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers import voting
from vrft_aug.evaluation.answers.conditions import deal_images
from vrft_aug.evaluation.answers.predict import predict
from vrft_aug.evaluation.checks import check_sampling
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.rewards import compose

LABEL = {"accuracy": {"weight": 0.9}, "format": {"weight": 0.1}}
BOX_REWARDS = {"localization": {"iou": {"weight": 1.0}}, "detection": {"boxes": {"weight": 1.0}}}
OBJECTIVE = compose({"classification": LABEL, "grading": LABEL, "question": LABEL, **BOX_REWARDS})


def rows(truth: list[str], task: str = "classification") -> pd.DataFrame:
    """Prepared rows, as read from a parquet."""
    table = []
    for index, label in enumerate(truth):
        info = {"task": task, "index": index, "source_id": f"image_{index}", "group_id": f"image_{index}",
                "classes": np.array(["cat", "dog", "hen"]), "knowledge": np.array([]), "aliases": np.array([]),
                "prompt": "What?", "image_size": np.array([100, 100]), "frame_size": np.array([100, 100])}  # fmt: skip
        table.append({"data_source": "toy", "prompt": np.array([{"role": "user", "content": "<image>What?"}]),
                      "images": [{"bytes": bytes([index])}], "reward_model": {"ground_truth": label},
                      "extra_info": info})  # fmt: skip
    return pd.DataFrame(table)


def answered(table: pd.DataFrame, *responses: list[str]) -> pd.DataFrame:
    return predict(table, OBJECTIVE, lambda *_: [[(text, 3) for text in texts] for texts in responses])


def label(name: str) -> str:
    return f"<think>I look.</think> \\boxed{{{name}}}" if name else "I do not know."


def box(x: float) -> str:
    return f"<think>I look.</think> <answer>[{x}, 0, {x + 50}, 50]</answer>"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["cat", "dog", "dog"], 1),
        (["hen", "cat", "dog", "cat", "dog"], 1),  # a tie: cat came first
        (["dog", "cat"], 0),
        (["", "", "cat"], 2),  # a rejected answer has no vote, though "" is the most frequent
        (["cow", "cow", "cat"], 2),  # an answer that is no class has no vote
        (["", ""], 0),
        (["DOG", "cat", "dog"], 0),
    ],
)
def test_the_majority_is_chosen(names: list[str], chosen: int):
    table = answered(rows(["cat"]), [label(name) for name in names])
    assert list(table["sample"]) == list(range(len(names)))
    assert list(np.flatnonzero(table["vote"])) == [chosen]


@pytest.mark.parametrize(("names", "shares"), [
    (["cat", "dog", "dog", "DOG"], [0.25, 0.75, 0]),
    (["", "hen", "cow", "cat"], [0.25, 0, 0.25]),  # rejected answers count for no class
    (["", ""], [0, 0, 0]),
])  # fmt: skip
def test_every_sample_has_the_vote_shares_of_its_prompt(names, shares):
    table = answered(rows(["cat"]), [label(name) for name in names])
    assert table["vote_shares"].to_list() == [shares] * len(names)


def test_vote_shares_follow_the_order_of_the_rows_own_classes():
    table = rows(["cat", "cat"])
    table["extra_info"][1]["classes"] = np.array(["hen", "dog", "cat"])
    found = answered(table, *[[label("cat"), label("dog")]] * 2)
    assert found["vote_shares"].to_list() == [[0.5, 0.5, 0]] * 2 + [[0, 0.5, 0.5]] * 2


def test_the_medoid_of_boxes_is_chosen():
    table = answered(rows(["[0, 0, 50, 50]"], "localization"), [box(40), box(4), "no box", box(8), box(0)])
    assert list(np.flatnonzero(table["vote"])) == [1]  # 4 is between 0 and 8, 40 is far away
    assert json.loads(table["prediction"][1]) == [4, 0, 54, 50]
    assert table["vote_shares"].to_list() == [None] * 5


def test_the_medoid_of_lists_of_boxes_is_chosen():
    said = ["[[0, 0, 9, 9]]", "[[0, 0, 9, 9], [20, 20, 29, 29]]", "[[0, 0, 9, 9], [50, 50, 59, 59]]", "no box", "[]"]
    samples = [f"<think>x</think> <answer>{one}</answer>" for one in said]
    table = answered(rows(["[[0, 0, 9, 9]]"], "detection"), samples)
    assert list(np.flatnonzero(table["vote"])) == [0]  # it shares one box with two others
    assert table["prediction"].to_list()[3:] == ["", "[]"]
    assert table["vote_shares"].to_list() == [None] * 5


def test_metrics_are_computed_from_the_vote():
    samples = [["cat", "cat", "dog"], ["dog", "dog", "cat"], ["", "", ""], ["hen", "hen", "hen"]]
    table = answered(rows(["cat", "cat", "dog", "hen"]), *[[label(name) for name in names] for names in samples])
    (found,) = measure(table, resamples=10).values()
    assert found["n"] == 4
    assert found["accuracy"]["value"] == 0.5
    assert found["unparseable"]["value"] == 0.25
    assert found["samples"] == {"n": 3, "accuracy": pytest.approx(6 / 12), "any_right": 0.75}
    chosen = voting.votes(table).drop(columns=["sample", "vote"])
    assert found == measure(chosen, resamples=10)["toy/classification"] | {"samples": found["samples"]}


def test_one_response_per_prompt_has_no_vote():
    table = answered(rows(["cat", "dog"]), [label("cat")], [label("cat")])
    assert not {"sample", "vote", "vote_shares", "probabilities"} & set(table.columns)
    assert list(table["acc"]) == [1, 0]
    assert table["score"].tolist() == pytest.approx([1.0, 0.1])
    assert measure(table, resamples=10)["toy/classification"]["samples"] is None
    assert len(voting.votes(table)) == 2


def test_a_thought_is_right_whatever_the_answer():
    table = rows(["cat", "cat", "dog"])
    for info, findings in zip(table["extra_info"], ["two ears", "two ears", ""], strict=True):
        info["findings"] = findings
    found = answered(table, ["<think>I see two ears</think> \\boxed{dog}"], [label("cat")], [label("dog")])
    assert found["findings"].to_list() == ["two ears", "two ears", ""]
    assert found["thought_right"].to_list()[:2] == [1.0, 0.0] and pd.isna(found["thought_right"][2])
    assert found["acc"].to_list() == [0.0, 1.0, 1.0]
    metrics = measure(found, resamples=10)["toy/classification"]
    assert metrics["thought_accuracy"]["value"] == 0.5 and "thought_right" not in metrics["parts"]


def asked(form: str, truth: list[str], **more: bool) -> pd.DataFrame:
    table = rows(truth)
    for info in table["extra_info"]:
        info |= {"form": form, **more}
    return table


def test_answers_and_what_they_meant_follow_the_form_of_the_row():
    responses = [["\\boxed{cat}"], [label("cat")], ["\\boxed{cat} <think>two ears</think>"]]
    found = answered(asked("answer_only", ["cat"] * 3), *responses)
    assert (found["acc"].to_list(), found["format"].to_list()) == ([1.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    assert found["form"].to_list() == ["answer_only"] * 3
    assert measure(found, resamples=10)["toy/classification"]["lenient_accuracy"]["value"] == 1.0
    first = answered(asked("answer_first", ["cat"] * 3), *responses)
    assert (first["acc"].to_list(), first["format"].to_list()) == ([1.0, 0.0, 1.0], [0.0, 0.0, 1.0])


def test_probabilities_are_asked_for_where_the_answer_counts():
    class Weigher:
        at_once = 9

        def class_probabilities(self, prompts, images, responses, classes):
            self.responses = responses
            return [[1.0, 0.0, 0.0]] * len(responses)

    weigher, texts = Weigher(), ["\\boxed{cat} <think>or a \\boxed{dog}</think>", label("dog")]
    for form, wanted in {"answer_first": ["\\boxed{", ""], "think_first": texts}.items():
        predict(asked(form, ["cat", "dog"]), OBJECTIVE, lambda *_: [[(text, 3)] for text in texts], weigher)
        assert weigher.responses == wanted


def test_stated_confidences_are_measured_where_they_are_stated():
    said = [label("cat") + f" <confidence>{number}</confidence>" for number in (0.9, 0.7, 0.9)] + [label("cat")]
    found = answered(asked("think_first", ["cat", "dog", "cat", "cat"], confidence=True), *[[text] for text in said])
    assert found["stated_confidence"].to_list()[:3] == [0.9, 0.7, 0.9] and pd.isna(found["stated_confidence"][3])
    assert found["format"].to_list() == [1.0, 1.0, 1.0, 0.0]
    metrics = measure(found, resamples=10)["toy/classification"]
    assert metrics["stated_confidence"]["value"] == pytest.approx(2.5 / 3)
    assert metrics["stated_brier"]["value"] == pytest.approx((0.01 + 0.49 + 0.01) / 3)
    assert metrics["stated_calibration_error"]["value"] == pytest.approx((2 * 0.1 + 0.7) / 3)
    assert "stated_confidence" not in metrics["parts"]
    assert "stated_confidence" not in measure(found[3:], resamples=10)["toy/classification"]


def test_the_voted_sample_has_the_thought_that_counts():
    table = rows(["cat"])
    table["extra_info"][0]["findings"] = "two ears"
    samples = ["<think>two ears</think> \\boxed{dog}", label("cat"), "<think>two ears</think> \\boxed{cat}"]
    assert measure(answered(table, samples), resamples=10)["toy/classification"]["thought_accuracy"]["value"] == 0.0


def test_rows_of_an_earlier_version_have_no_findings():
    found = answered(rows(["cat"]), [label("cat")])
    assert found["findings"].to_list() == [""] and found["thought_right"].isna().all()
    assert "thought_accuracy" not in measure(found, resamples=10)["toy/classification"]


def test_images_are_dealt_by_the_seed():
    table = rows(["cat"] * 20)
    straight, dealt, again, other = ([images[0]["bytes"] for images in one["images"]] for one in (
        table, deal_images(table, 0), deal_images(table, 0), deal_images(table, 1)))  # fmt: skip
    assert sorted(dealt) == straight != dealt == again != other


class Weigher:
    """Gives each class a probability that tells the image and the response; notes what it is asked."""

    at_once = 2

    def __init__(self) -> None:
        self.asked: list = []

    def class_probabilities(self, prompts, images, responses, classes):
        self.asked.append(len(prompts))
        assert prompts == ["<image>What?"] * len(prompts)
        return [[image[0][0] / 10, len(text), len(names)]
                for image, text, names in zip(images, responses, classes, strict=True)]  # fmt: skip


def test_probabilities_are_asked_for_right_after_the_answers():
    weigher, table = Weigher(), rows(["cat", "dog", "cat"])

    def answer(prompts, images):
        for number in range(len(prompts)):
            weigher.asked.append("answer")
            yield [("x" * number, 3)]

    found = predict(table, OBJECTIVE, answer, weigher)
    assert weigher.asked == ["answer", "answer", 2, "answer", 1]
    assert found["probabilities"].to_list() == [[0.0, 0, 3], [0.1, 1, 3], [0.2, 2, 3]]


def test_the_voted_sample_alone_has_probabilities(tmp_path):
    samples = [label("cat"), "I do not know.", "Really: \\boxed{dog}", label("dog")]
    found = predict(rows(["dog"]), OBJECTIVE, lambda *_: [[(text, 3) for text in samples]], Weigher())
    assert found["vote"].to_list() == [False, False, True, False]
    assert found["probabilities"].to_list() == [None, None, [0, len(samples[2]), 3], None]
    found.to_parquet(tmp_path / "predictions.parquet")
    read = pd.read_parquet(tmp_path / "predictions.parquet")
    assert [value is None for value in read["probabilities"]] == [True, True, False, True]
    read.at[2, "probabilities"] = [0.0, 1.0, 0.0]  # the stand-in's numbers are no probabilities
    (metrics,) = measure(read, resamples=10).values()
    assert metrics["probabilities"]["n"] == 1 and metrics["probabilities"]["greedy_agreement"]["value"] == 1
    assert set(metrics["parts"]) == {"score", "accuracy", "format"}  # a list is none


def test_boxes_have_no_class_probabilities_and_may_stand_beside_classes():
    table = pd.concat([rows(["[0, 0, 50, 50]"], "localization"), rows(["cat", "dog"])], ignore_index=True)
    found = predict(table, OBJECTIVE, lambda *_: [[(box(0), 3)], [(label("cat"), 3)], [(label("cat"), 3)]], Weigher())
    assert [value is None for value in found["probabilities"]] == [True, False, False]
    only = predict(rows(["[0, 0, 50, 50]"], "localization"), OBJECTIVE, lambda *_: [[(box(0), 3)]], Weigher())
    assert only["probabilities"].to_list() == [None]


@pytest.mark.parametrize(
    ("n", "temperature", "message"),
    [(4, 0, "set sampling.temperature above 0"), (0, 1, "1 or more"), (1, -1, "0 or more"), ("many", 1, "1 or more"),
     (1, "hot", "must be a number, 0 or more")],
)  # fmt: skip
def test_sampling_that_makes_no_sense_is_refused(n, temperature, message):
    check_sampling(OmegaConf.create({"n": 4, "temperature": 0.9}))
    with pytest.raises(InputError, match=message):
        check_sampling(OmegaConf.create({"n": n, "temperature": temperature}))
