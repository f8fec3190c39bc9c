"""Metrics of closed questions: right and by chance, per type, of probabilities; nothing that needs common classes."""

import json

import numpy as np
import pytest
from toy_answers import PLACES, answered, share

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.headroom import by_prompt
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.evaluation.metrics.resampled_metrics import metric_of_weights

OF_CLASSES = ("majority", "confusion", "balanced_accuracy", "macro_f1", "recall", "worst_recall", "chance",
              "quadratic_kappa")  # fmt: skip


def measured(rows):
    (metrics,) = measure(rows, resamples=50).values()
    return json.loads(json.dumps(metrics, allow_nan=False))


def test_accuracy_and_chance_of_questions_with_two_and_four_options():
    found = measured(answered(share(40, 30)))
    assert found["accuracy"]["value"] == 0.75 and found["n"] == 40 and found["groups"] == 20
    assert found["option_chance"]["value"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert found["lenient_accuracy"]["value"] == 0.75 and found["unparseable"]["value"] == 0
    assert found["accuracy_grouped"]["low"] < 0.75 < found["accuracy_grouped"]["high"]
    assert not set(OF_CLASSES) & set(found)


def test_accuracy_and_chance_per_type():
    right = np.arange(40) % 2 == 1  # every presence, no place
    types = measured(answered(right))["slices"]["type"]
    assert {name: (one["accuracy"]["value"], one["option_chance"]["value"]) for name, one in types["of"].items()} == {
        "place": (0, 0.25), "presence": (1, 0.5)
    }  # fmt: skip
    assert types["worst"] == "place" and types["p"] < 0.01


def test_other_tasks_have_no_chance_of_options():
    rows = answered(share(40, 30))
    rows = rows[rows["slice_type"] == "presence"].assign(task="classification")
    found = measured(rows)
    assert "option_chance" not in found and "option_chance" not in found["slices"]["type"]["of"]["presence"]


def test_a_rejected_answer_is_wrong_and_may_be_meant():
    rows = answered(share(20, 20))
    rows.loc[0, ["prediction", "rejected", "acc"]] = ["", "no answer", 0.0]
    rows.loc[0, "response"] = f"It is the {rows.loc[0, 'ground_truth']}."
    found = measured(rows)
    assert found["accuracy"]["value"] == 0.95 and found["unparseable"]["value"] == 0.05
    assert found["lenient_accuracy"]["value"] == 1


def probable(rows, right, at=0.7):
    """The probability `at` for the right option where `right`, else for the option before it."""
    found = []
    for names, label, ok in zip(rows["classes"], rows["ground_truth"], right, strict=True):
        place, other = (names.index(label) - (not ok)) % len(names), (1 - at) / (len(names) - 1)
        found.append([at if number == place else other for number in range(len(names))])
    return rows.assign(probabilities=found)


def test_probabilities_of_options_by_hand():
    right = share(40, 30)
    found = measured(probable(answered(right), right))["probabilities"]
    two, four = 2 * 0.3**2, 0.3**2 + 3 * 0.1**2  # Brier scores of a right answer
    wrong_two, wrong_four = 2 * 0.7**2, 0.7**2 + 0.9**2 + 2 * 0.1**2
    of = {True: {1: two, 0: four}, False: {1: wrong_two, 0: wrong_four}}
    assert found["brier"]["value"] == pytest.approx(np.mean([of[bool(ok)][i % 2] for i, ok in enumerate(right)]))
    assert found["calibration_error"]["value"] == pytest.approx(abs(0.75 - 0.7))
    assert found["greedy_agreement"]["value"] == 1 and found["n"] == 40
    assert not {"auroc", "auprc", "auroc_of", "sensitivity_at_90_specificity"} & set(found)


def test_options_in_another_order_change_no_metric():
    right = share(40, 30)
    rows = probable(answered(right), right)
    turned = rows.assign(classes=[names[::-1] for names in rows["classes"]],
                         probabilities=[numbers[::-1] for numbers in rows["probabilities"]])  # fmt: skip
    one, other = (measured(table) for table in (turned, rows))
    assert one.pop("probabilities")["brier"]["value"] == pytest.approx(other.pop("probabilities")["brier"]["value"])
    assert one == other


def test_a_claim_may_be_about_probabilities_and_not_about_classes():
    right = share(40, 30)
    rows = probable(answered(right), right)
    assert metric_of_weights("brier", "question", rows)(np.ones((1, 40)))[0] > 0
    for name in ("auroc", "macro_f1", "balanced_accuracy", "mean_iou"):
        with pytest.raises(InputError, match=f"question has no {name}"):
            metric_of_weights(name, "question", rows)


@pytest.mark.parametrize(("change", "message"), [
    ({"acc": 0.0}, "the prediction is 'lung', but acc is 0"),
    ({"ground_truth": "knee"}, r"ground truth 'knee' is none of its options \['lung'"),
    ({"probabilities": [0.5, 0.5]}, "for 4 classes; evaluate again"),
])
def test_a_row_that_contradicts_itself_is_refused(change, message):
    rows = probable(answered(share(8, 8)), share(8, 8))
    assert rows.loc[0, "classes"] == PLACES
    for name, value in change.items():
        rows[name] = [value, *rows[name][1:]]
    with pytest.raises(InputError, match=message):
        measured(rows)


def test_a_probe_of_questions_has_no_classes():
    rows = answered(share(8, 4))
    samples = rows.loc[rows.index.repeat(2)].assign(score=1.0)
    assert set(by_prompt(samples, 2)["class"]) == {""}
