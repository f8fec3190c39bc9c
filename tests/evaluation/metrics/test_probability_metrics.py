"""Tests the metrics of probabilities and votes in `measure`: on predictions with known truth, against scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn
from toy_runs import predictions
from toy_scores import draw, scored

from vrft_aug.evaluation.metrics.measure import measure

QUANTITIES = ["auroc", "auprc", "brier", "calibration_error", "aurc", "accuracy_at_80", "accuracy_at_90",
              "greedy_agreement"]  # fmt: skip


def block(rows: pd.DataFrame, key: str = "probabilities", **options) -> dict:
    """The metrics of the scores of a table with one data set; checks that all are JSON without NaN."""
    (found,) = measure(rows, **{"resamples": 100} | options).values()
    return json.loads(json.dumps(found, allow_nan=False))[key]


def values(found: dict) -> dict[str, float]:
    return {name: found[name]["value"] for name in QUANTITIES}


def test_a_calibrated_policy_has_scikit_learns_numbers():
    scores = draw(np.random.default_rng(0), 600)
    found = block(scored(scores), disease=["c2"])
    truth, said = np.eye(3)[scores.truth], scores.probabilities
    areas = sklearn.roc_auc_score(truth, said, average=None)
    assert found["auroc"]["value"] == pytest.approx(sklearn.roc_auc_score(scores.truth, said, multi_class="ovr"))
    assert [found["auroc_of"][name]["value"] for name in scores.classes] == pytest.approx(list(areas))
    assert found["auprc"]["value"] == pytest.approx(sklearn.average_precision_score(truth, said, average="macro"))
    assert found["brier"]["value"] == pytest.approx(((said - truth) ** 2).sum(1).mean())
    false, true, _ = sklearn.roc_curve(scores.truth == 2, said[:, 2], drop_intermediate=False)
    assert found["sensitivity_at_90_specificity"]["value"] == pytest.approx(true[false <= 0.1 + 1e-9].max())
    assert (found["n"], found["left_out"], found["disease"]) == (600, 0, ["c2"])
    assert found["greedy_agreement"] == {"value": 1, "low": 1, "high": 1}
    assert found["calibration_error"]["low"] == 0 < found["calibration_error"]["value"] < 0.08
    surest = scores.right[np.argsort(-scores.confidence)]
    assert found["aurc"]["value"] == pytest.approx(1 - (surest.cumsum() / np.arange(1, 601)).mean())
    assert found["accuracy_at_80"]["value"] == pytest.approx(surest[:480].mean())
    assert all(found[name]["low"] <= found[name]["value"] <= found[name]["high"] for name in QUANTITIES)


def test_an_over_confident_policy_ranks_as_well_and_is_not_calibrated():
    good, over = (values(block(scored(draw(np.random.default_rng(0), 600, how, classes=2)))) for how in (1.0, 3.0))
    for name in ("auroc", "auprc", "aurc", "accuracy_at_80"):  # of two classes it keeps their order
        assert over[name] == pytest.approx(good[name])
    assert over["brier"] > good["brier"] + 0.02 and over["calibration_error"] > good["calibration_error"] + 0.05


def test_a_random_policy_ranks_by_chance():
    scores = draw(np.random.default_rng(0), 2000)
    truth = np.random.default_rng(1).permutation(scores.truth)
    found = block(scored(type(scores)(scores.classes, scores.probabilities, truth, scores.answer, scores.known)))
    assert found["auroc"]["low"] < 0.5 < found["auroc"]["high"]
    assert found["auprc"]["value"] == pytest.approx(1 / 3, abs=0.03)
    assert found["accuracy_at_80"]["value"] == pytest.approx((scores.answer == truth).mean(), abs=0.03)


def test_a_constant_policy_that_answers_by_prior():
    truth = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    rows = predictions(truth, ["a"] * 100, ["a", "b", "c"], "classification", probabilities=[[0.6, 0.3, 0.1]] * 100)
    found = values(block(rows))
    assert (found["auroc"], found["auprc"]) == (0.5, pytest.approx(1 / 3))
    assert found["calibration_error"] == pytest.approx(0)
    assert found["brier"] == pytest.approx(1 - 0.36 - 0.09 - 0.01)  # 1 - sum of p ** 2
    assert found["aurc"] == pytest.approx(0.4) and found["accuracy_at_80"] == pytest.approx(0.6)


def test_a_class_without_an_image_is_in_no_mean():
    scores = draw(np.random.default_rng(0), 200)
    kept = scored(scores)[scores.truth != 1]
    found, said = block(kept), scores.probabilities[scores.truth != 1]
    assert found["auroc_of"]["c1"] == {"value": None, "low": None, "high": None}
    kinds = {"c0": said[:, 0], "c2": said[:, 2]}
    areas = [sklearn.roc_auc_score(kept["ground_truth"] == name, score) for name, score in kinds.items()]
    assert found["auroc"]["value"] == pytest.approx(np.mean(areas))


def test_one_image():
    found = block(scored(draw(np.random.default_rng(0), 1)))
    assert found["auroc"]["value"] is None and found["auprc"]["value"] is None
    assert found["aurc"]["value"] in (0, 1) and found["risk_coverage"]["coverage"] == [1]


def test_the_order_of_the_classes_in_a_row_does_not_matter():
    rows = scored(draw(np.random.default_rng(0), 50))
    turned = rows.assign(classes=[one[::-1] for one in rows["classes"]],
                         probabilities=[one[::-1] for one in rows["probabilities"]])  # fmt: skip
    assert values(block(turned)) == pytest.approx(values(block(rows)))


def test_images_of_one_patient_widen_the_intervals():
    scores = draw(np.random.default_rng(0), 40)
    many = scored(type(scores)(scores.classes, *(np.repeat(one, 10, axis=0) for one in (
        scores.probabilities, scores.truth, scores.answer, scores.known))))  # fmt: skip
    patients = np.repeat(range(40), 10).astype(str)
    alone, grouped = (block(many.assign(**columns)) for columns in ({}, {"group_id": patients}))
    for name in QUANTITIES[:7]:
        assert grouped[name]["high"] - grouped[name]["low"] > 1.5 * (alone[name]["high"] - alone[name]["low"]), name


def test_rows_without_probabilities_are_left_out_and_counted():
    rows = scored(draw(np.random.default_rng(0), 60))
    some = rows.assign(probabilities=[one if place >= 10 else None for place, one in enumerate(rows["probabilities"])])
    found = block(some)
    assert (found["n"], found["left_out"]) == (50, 10)
    assert values(found) == pytest.approx(values(block(rows[10:])))
    (without,) = measure(rows.drop(columns="probabilities"), resamples=10).values()
    assert "probabilities" not in without and "votes" not in without


def test_the_other_metrics_do_not_change_with_probabilities():
    rows = scored(draw(np.random.default_rng(0), 60))
    (found,), (plain,) = (measure(one, resamples=20).values() for one in (rows, rows.drop(columns="probabilities")))
    assert {key: value for key, value in found.items() if key != "probabilities"} == plain


def test_disease_counts_only_where_the_classes_have_it():
    rows = scored(draw(np.random.default_rng(0), 60))
    for disease in (None, [], ["pneumonia"], ["c0", "c1", "c2"]):
        found = block(rows, disease=disease)
        assert "sensitivity_at_90_specificity" not in found and "disease" not in found
    assert block(rows, disease=["c1", "c2"])["disease"] == ["c1", "c2"]


def test_votes_have_the_same_metrics():
    rows = predictions(["a", "b", "b"], ["a", "b", ""], ["a", "b"], "classification")
    rows = rows.assign(vote_shares=[[0.75, 0.25], [0.5, 0.5], [0.0, 0.0]])
    samples = pd.concat([rows.assign(sample=number, vote=number == 0) for number in range(4)])
    found = block(samples, "votes")
    assert values(found) == pytest.approx({
        "auroc": (1 + 1 / 2) / 2, "auprc": (1 + (1 + 2 / 3) / 2) / 2, "brier": (2 * 0.25**2 + 2 * 0.5**2 + 1) / 3,
        "calibration_error": (0.25 + 0.5) / 3, "aurc": (0 + 0 + 1 / 3) / 3, "accuracy_at_80": 2 / 2.4,
        "accuracy_at_90": 2 / 2.7, "greedy_agreement": 2 / 3})  # fmt: skip
    assert found["risk_coverage"] == {"coverage": [1 / 3, 2 / 3, 1], "risk": [0, 0, pytest.approx(1 / 3)]}


def test_the_risk_coverage_plot_has_at_most_50_points():
    scores = draw(np.random.default_rng(0), 300)
    plot = block(scored(scores), resamples=10)["risk_coverage"]
    assert len(plot["coverage"]) == len(plot["risk"]) == 50
    assert plot["coverage"][-1] == 1 and plot["risk"][-1] == pytest.approx(1 - scores.right.mean())
    place = plot["coverage"].index(min(plot["coverage"], key=lambda share: abs(share - 0.5)))
    surest = np.argsort(-scores.confidence)[: round(plot["coverage"][place] * 300)]
    assert plot["risk"][place] == pytest.approx(1 - scores.right[surest].mean())
