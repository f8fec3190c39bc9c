"""Signs of reward hacking are measured right, on samples where the shares can be counted by hand."""

import pytest
from reward_rows import BOX, BREAST, KNOWLEDGE, PIXELS, RETINA, think

from vrft_aug.errors import InputError
from vrft_aug.rewards import compose, compute_score
from vrft_aug.rewards.diagnostics import BOUNDS, MEANING, measure, score_gap, warnings
from vrft_aug.rewards.objective import Objective, load
from vrft_aug.rewards.parsing import TASKS, Response
from vrft_aug.rewards.term import Term

MFRS = compose("mfrs")


def samples(*answers: str, row: dict = RETINA, truth: str = "2") -> list[dict]:
    return [compute_score("d", think(rf"\boxed{{{answer}}}"), truth, row, "mfrs") for answer in answers]


def test_shares_are_counted_per_task():
    grades = samples("2", "2", "2", "2") + samples("1", "9", "", "2")
    lesions = [compute_score("d", think(f"<answer>{BOX}</answer>"), BOX, PIXELS, "mfrs")]
    metrics = measure(grades + lesions, ["a"] * 4 + ["b"] * 4 + ["c"], MFRS)
    assert metrics["reward/grading/equal_groups"] == 0.5  # group a; b has four different scores
    assert metrics["reward/grading/top_prediction"] == 5 / 8
    assert metrics["reward/grading/not_a_class"] == 1 / 8
    assert metrics["reward/grading/no_answer"] == 1 / 8
    assert metrics["reward/grading/format_only"] == 1 / 8  # the 9: well-formed and worth nothing
    assert metrics["reward/grading/mfrs"] == pytest.approx((5 + 1 / 4) / 8)
    assert metrics["reward/grading/format"] == 7 / 8
    assert metrics["reward/localization/iou"] == 1.0
    assert "reward/grading/iou" not in metrics and "reward/localization/mfrs" not in metrics
    assert not {"reward/localization/equal_groups", "reward/localization/iou_spread"} & metrics.keys()  # no group


def test_the_constant_answer_is_seen():
    """A policy that always answers `normal, benign`, as the 73.07 of the paper's Breast column suggests."""
    truths = ["normal, benign"] * 73 + ["malignant"] * 27
    constant = [s for truth in truths for s in samples("normal, benign", row=BREAST, truth=truth)]
    metrics = measure(constant, [str(i // 2) for i in range(100)], MFRS)
    assert metrics["reward/classification/acc"] == 0.73
    lines = warnings(metrics)
    assert any(line.startswith("reward/classification/top_prediction is 1, above 0.9") for line in lines)
    assert any("equal_groups" in line for line in lines)


def test_a_healthy_step_has_no_warning():
    healthy = samples("0", "1", "2", "3", "2", "2", "4", "1")
    assert warnings(measure(healthy, ["a"] * 8, MFRS)) == []


def told(answer: str, thought: str, objective: Objective) -> dict:
    return compute_score("d", think(rf"\boxed{{{answer}}}", thought), "malignant", BREAST, objective)


def test_the_spread_of_a_part_is_what_it_moves_within_a_group():
    objective = compose("recite_neg")
    block = "\n".join(f"{name}: {entry}" for name, entry in zip(BREAST["classes"], KNOWLEDGE, strict=True))
    group = [told("malignant", "x", objective), told("normal, benign", block, objective)]
    alike = [told("malignant", "x", objective)] * 2
    metrics = measure(group + alike, ["a", "a", "b", "b"], objective)
    assert metrics["reward/classification/accuracy_spread"] == pytest.approx(0.9 / 2)
    assert metrics["reward/classification/recitation_spread"] == pytest.approx(1.0 / 2)  # clipped: -2 becomes -1
    assert metrics["reward/classification/format_spread"] == 0.0
    assert not any(name.endswith("_spread") for name in BOUNDS)


def test_a_difference_that_is_practically_nil_and_decides_is_seen():
    """Two right answers in their own words: BLEU differs a little, and GRPO would divide by just that little."""
    objective = compose("recite_pos")
    nil = [told("malignant", thought, objective) for thought in ("I see a dark mass.", "I see a dark irregular shape.")]
    apart = [told("malignant", "x", objective), told("normal, benign", "x", objective)]
    assert 1e-9 < abs(nil[0]["score"] - nil[1]["score"]) < 0.01
    equal = [told("malignant", "x", objective)] * 2
    metrics = measure(nil + apart + equal, ["a", "a", "b", "b", "c", "c"], objective)
    assert metrics["reward/classification/nil_decides"] == 1 / 2  # of the two groups with an advantage
    assert metrics["reward/classification/equal_groups"] == pytest.approx(1 / 3)
    (line,) = (line for line in warnings(metrics) if "nil_decides" in line)
    assert line.startswith("reward/classification/nil_decides is 0.5, above 0.1: ") and "full advantage" in line
    assert "reward/classification/nil_decides" not in measure(equal, ["c", "c"], objective)


def test_practically_nil_is_relative_to_the_range_of_the_scores():
    tenfold = load("accuracy")
    tenfold["grading"] = {"mfrs": {"weight": 9.0, "credit": [1.0, 0.995]}, "format": {"weight": 1.0}}
    objective = compose(tenfold)
    group = [compute_score("d", think(rf"\boxed{{{grade}}}"), "2", RETINA, objective) for grade in (2, 3)]
    assert group[0]["score"] - group[1]["score"] == pytest.approx(0.045)  # of 10
    assert measure(group, ["a", "a"], objective)["reward/grading/nil_decides"] == 1.0


def mention(response: Response, ground_truth: str, row: dict) -> float:
    """A reward for a right answer that diagnostics have never heard of."""
    return float(ground_truth in response.text)


def test_a_new_reward_for_a_right_answer_is_not_format_only():
    terms = compose("accuracy").terms["grading"]
    new = (Term("mention", mention, 0.9), *(term for term in terms if term.name == "format"))
    objective = Objective(dict.fromkeys(TASKS, new), ("mention", "format"))
    right, wrong = (compute_score("d", think(rf"\boxed{{{grade}}}"), "2", RETINA, objective) for grade in (2, 3))
    assert measure([right, right, wrong, wrong], list("aabb"), objective)["reward/grading/format_only"] == 0.5


def test_a_light_reward_beside_the_answer_does_not_hide_that_there_is_nothing_else():
    light = compose("recite_pos")
    wrong = told("normal, benign", f"malignant: {KNOWLEDGE[0]}", light)
    assert wrong["recitation"] > 0.1
    assert measure([wrong] * 2, ["a", "a"], light)["reward/classification/format_only"] == 1.0


def test_bounds_are_configurable_and_checked():
    metrics = measure(samples("2", "1"), ["a", "a"], MFRS)
    assert warnings(metrics, {"top_prediction": (0.6, None)}) == [
        "reward/grading/top_prediction is 0.5, below 0.6: " + MEANING["top_prediction"]
    ]
    with pytest.raises(InputError, match="no measure top_predictions"):
        warnings(metrics, {"top_predictions": (None, 0.5)})
    assert set(BOUNDS) == set(MEANING)


def test_the_gap_is_training_reward_minus_validation_accuracy():
    training, validation = (measure(samples(*answers), ["a", "a"], MFRS) for answers in (("2", "2"), ("2", "1")))
    assert score_gap(training, validation) == {"reward/grading/score_gap": 0.5}
    assert warnings(score_gap(training, validation)) != []
    assert score_gap(training, {"reward/classification/acc": 1.0}) == {}
