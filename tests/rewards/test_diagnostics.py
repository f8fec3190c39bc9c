"""Signs of reward hacking are measured right, on samples where the shares can be counted by hand."""

import pytest
from reward_rows import BOX, BREAST, PIXELS, RETINA, think

from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score
from vrft_aug.rewards.diagnostics import BOUNDS, MEANING, measure, score_gap, warnings


def samples(*answers: str, row: dict = RETINA, truth: str = "2") -> list[dict]:
    return [compute_score("d", think(rf"\boxed{{{answer}}}"), truth, row, "mfrs") for answer in answers]


def test_shares_are_counted_per_task():
    grades = samples("2", "2", "2", "2") + samples("1", "9", "", "2")
    lesions = [compute_score("d", think(f"<answer>{BOX}</answer>"), BOX, PIXELS, "mfrs")]
    metrics = measure(grades + lesions, ["a"] * 4 + ["b"] * 4 + ["c"])
    assert metrics["reward/grading/equal_groups"] == 0.5  # group a; b has four different scores
    assert metrics["reward/grading/top_prediction"] == 5 / 8
    assert metrics["reward/grading/not_a_class"] == 1 / 8
    assert metrics["reward/grading/no_answer"] == 1 / 8
    assert metrics["reward/grading/format_only"] == 1 / 8  # the 9: well-formed and worth nothing
    assert metrics["reward/grading/mfrs"] == pytest.approx((5 + 1 / 4) / 8)
    assert metrics["reward/grading/format"] == 7 / 8
    assert metrics["reward/localization/iou"] == 1.0
    assert "reward/grading/iou" not in metrics and "reward/localization/mfrs" not in metrics
    assert "reward/localization/equal_groups" not in metrics  # one sample is no group


def test_the_constant_answer_is_seen():
    """A policy that always answers `normal, benign`, as the 73.07 of the paper's Breast column suggests."""
    truths = ["normal, benign"] * 73 + ["malignant"] * 27
    constant = [s for truth in truths for s in samples("normal, benign", row=BREAST, truth=truth)]
    metrics = measure(constant, [str(i // 2) for i in range(100)])
    assert metrics["reward/classification/acc"] == 0.73
    lines = warnings(metrics)
    assert any(line.startswith("reward/classification/top_prediction is 1, above 0.9") for line in lines)
    assert any("equal_groups" in line for line in lines)


def test_a_healthy_step_has_no_warning():
    healthy = samples("0", "1", "2", "3", "2", "2", "4", "1")
    assert warnings(measure(healthy, ["a"] * 8)) == []


def test_bounds_are_configurable_and_checked():
    metrics = measure(samples("2", "1"), ["a", "a"])
    assert warnings(metrics, {"top_prediction": (0.6, None)}) == [
        "reward/grading/top_prediction is 0.5, below 0.6: " + MEANING["top_prediction"]
    ]
    with pytest.raises(InputError, match="no measure top_predictions"):
        warnings(metrics, {"top_predictions": (None, 0.5)})
    assert set(BOUNDS) == set(MEANING)


def test_the_gap_is_training_reward_minus_validation_accuracy():
    training, validation = (measure(samples(*answers), ["a", "a"]) for answers in (("2", "2"), ("2", "1")))
    assert score_gap(training, validation) == {"reward/grading/score_gap": 0.5}
    assert warnings(score_gap(training, validation)) != []
    assert score_gap(training, {"reward/classification/acc": 1.0}) == {}
