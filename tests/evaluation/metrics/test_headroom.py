"""What a policy offers to reinforcement: numbers per prompt, per class and overall, and a verdict for each kind."""

import pandas as pd
import pytest
from toy_runs import predictions

from vrft_aug.evaluation.metrics.headroom import by_prompt, headroom


def sampled(right: dict[str, list[int]], n: int = 8, form: float = 1.0, **columns) -> pd.DataFrame:
    """Answers of n samples to some prompts of each class, of which a given number is right.

    Score: 0.9 for a right answer and 0.1 for its form.
    """
    rows = []
    for label, counts in right.items():
        for number, count in enumerate(counts):
            answers = [label if sample < count else "9" for sample in range(n)]
            one = predictions([label] * n, answers, task="classification", accuracy=0.0)
            rows.append(one.assign(source_id=f"{label}/{number}", group_id=f"{label}/{number}", **columns))
    table = pd.concat(rows, ignore_index=True)
    table["accuracy"] = table["acc"]
    return table.assign(score=0.9 * table["acc"] + 0.1 * form)


def measured(right: dict[str, list[int]], n: int = 8, group: int = 8, **more) -> dict:
    return headroom(by_prompt(sampled(right, n, **more), group, ["accuracy"]), group, resamples=50)


def test_numbers_per_prompt():
    table = by_prompt(sampled({"cat": [8, 4], "dog": [0]}), 8, ["accuracy"])
    assert table["source_id"].tolist() == ["cat/0", "cat/1", "dog/0"]
    assert table["class"].tolist() == ["cat", "cat", "dog"]
    assert (table["right"].tolist(), table["solved"].tolist()) == ([8, 4, 0], [1, 0.5, 0])
    assert table["mean_score"].tolist() == pytest.approx([1, 0.55, 0.1])
    assert table["score_spread"].tolist() == pytest.approx([0, 0.45, 0])
    assert table["mixed"].tolist() == table["mixed_answer"].tolist() == [0, 1, 0]


def test_numbers_overall_and_per_class():
    found = measured({"cat": [8, 4], "dog": [0, 0, 0, 0]}, group=2)
    assert {k: one["value"] for k, one in found["pass_at"].items()} == pytest.approx(
        {"1": 1.5 / 6, "2": (1 + 1 - 6 / 28) / 6, "4": (2 - 1 / 70) / 6, "8": 2 / 6}
    )
    assert found["mixed"]["value"] == pytest.approx((1 - 12 / 28) / 6)
    assert found["all_right"]["value"] == pytest.approx((1 + 6 / 28) / 6)
    assert found["all_wrong"]["value"] == pytest.approx((4 + 6 / 28) / 6)
    assert (found["images"], found["samples"], found["constant"]) == (6, 8, pytest.approx(4 / 6))
    assert (found["per_class"]["cat"]["images"], found["per_class"]["dog"]["pass_at"]["8"]["value"]) == (2, 0)
    assert found["mixed"]["low"] <= found["mixed"]["value"] <= found["mixed"]["high"]


@pytest.mark.parametrize(("right", "kind", "words"), [
    ({"cat": [8] * 15 + [4], "dog": [8] * 16}, "solved", "Already solved: 97 % of groups of 8 are all right and 3 %"),
    ({"cat": [0] * 15 + [1], "dog": [0] * 16}, "nothing", "Nothing to reinforce: 97 % of groups of 8 are all wrong and "
     "3 % are mixed; start with V-SFT"),
    ({"cat": [8] * 16, "dog": [0] * 16}, "stuck", "Almost nothing to reinforce: 50 % of groups of 8 are all"),
    ({"cat": [8, 8, 8, 8, 4], "dog": [0, 0, 0, 0, 4]}, "little", "little to work with: 20 % of groups of 8 are mixed "
     "and pass@8 is 10 points above pass@1"),
    ({"cat": [6, 6, 6, 5], "dog": [7, 6, 6, 6]}, "something", "Reinforcement has something to work with: 100 % of "
     "groups of 8 are mixed and pass@8 is 25 points above pass@1"),
])  # fmt: skip
def test_a_verdict_of_each_kind(right, kind, words):
    found = measured(right)["verdict"]
    assert found["kind"] == kind and words in found["text"]


def test_a_verdict_where_only_the_form_differs():
    table = sampled({"cat": [0] * 4, "dog": [0] * 4})
    table["score"] = 0.1 * (table.groupby("source_id").cumcount() % 2)
    found = headroom(by_prompt(table, 8, ["accuracy"]), 8, resamples=50)
    assert found["verdict"]["kind"] == "form"
    assert "form of an answer alone: 100 % of groups of 8 have mixed scores, but 0 % by" in found["verdict"]["text"]


def test_a_guesser_is_told_from_a_policy_that_sees():
    guesser = measured({"cat": [4] * 20, "dog": [4] * 20})
    assert "pass@1 (50 %) is not clearly above that of one constant answer (50 %)" in guesser["verdict"]["text"]
    assert "luck" not in measured({"cat": [6] * 20, "dog": [6] * 20})["verdict"]["text"]


def test_boxes_have_neither_classes_nor_a_constant_answer():
    rows = sampled({"[1, 2, 3, 4]": [4], "[5, 6, 7, 8]": [2]}).assign(task="localization")
    found = headroom(by_prompt(rows, 8), 8, resamples=50)
    assert (found["per_class"], found["constant"]) == ({}, None)
    assert found["verdict"]["kind"] == "something" and "luck" not in found["verdict"]["text"]
