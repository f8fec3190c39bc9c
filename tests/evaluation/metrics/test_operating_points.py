"""Tests operating points: thresholds come from validation alone, and their numbers on test are right."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score
from toy_runs import predictions
from toy_scores import draw, scored

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.evaluation.metrics.operating_points import operating


def tables(confidence: float = 1.0, test_images: int = 400) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Validation and test predictions."""
    validation, test = (scored(draw(np.random.default_rng(seed), n, confidence))
                        for seed, n in ((1, 500), (2, test_images)))  # fmt: skip
    return validation.assign(source_id="val_" + validation["source_id"]), test


def found(disease=None, harm=None, **options) -> dict:
    return json.loads(json.dumps(operating(*tables(**options), disease, 0, harm), allow_nan=False))


def of_disease(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The probability of c1 or c2, and whether it is one of them."""
    return np.stack(rows["probabilities"])[:, 1:].sum(1), rows["ground_truth"].isin(["c1", "c2"]).to_numpy()


def test_the_threshold_finds_nine_of_ten_on_validation_and_is_tested_on_test():
    validation, test = tables()
    one = found(["c2", "c1"])["screening"]
    score, ill = of_disease(validation)
    assert one["validation"]["sensitivity"] >= 0.9 > (score > one["threshold"])[ill].mean()
    assert one["validation"]["specificity"] == pytest.approx((score < one["threshold"])[~ill].mean())
    score, ill = of_disease(test)
    flagged = score >= one["threshold"]
    assert one["test"]["sensitivity"]["value"] == pytest.approx(recall_score(ill, flagged))
    assert one["test"]["specificity"] == wilson(int((~flagged & ~ill).sum()), int((~ill).sum()))
    assert one["test"]["flagged"]["value"] == pytest.approx(flagged.mean())
    assert (one["test"]["with_disease"], one["disease"], one["target"]) == (ill.sum(), ["c2", "c1"], 0.9)


def test_the_test_images_choose_nothing():
    validation, test = tables()
    other = test.assign(ground_truth=np.random.default_rng(0).permutation(test["ground_truth"]), acc=0.0)
    other["acc"] = (other["prediction"] == other["ground_truth"]).astype(float)
    first, second = (operating(validation, rows, ["c2"], 0) for rows in (test, other))
    for key in ("screening", "referral", "referral_at_coverage"):
        assert first[key]["threshold"] == second[key]["threshold"] is not None
        assert first[key]["test"] != second[key]["test"]


def test_grades_from_two_on():
    rng = np.random.default_rng(0)
    said = rng.dirichlet(np.ones(5), 300)
    truth = [str(np.searchsorted(one.cumsum(), rng.random())) for one in said]
    rows = predictions(truth, said.argmax(1).astype(str), probabilities=list(said))
    one = operating(rows.assign(source_id="val_" + rows["source_id"]), rows, ["2", "3", "4"], 0)["screening"]
    ill = rows["ground_truth"].astype(int) >= 2
    assert one["test"]["sensitivity"]["value"] == pytest.approx((said[:, 2:].sum(1) >= one["threshold"])[ill].mean())


def test_net_benefit_by_hand():
    said = [[0.1, 0.9], [0.4, 0.6], [0.7, 0.3], [0.95, 0.05]]
    truth, answers = ["ill", "well", "ill", "well"], ["ill", "ill", "well", "well"]
    rows = predictions(truth, answers, ["well", "ill"], "classification", probabilities=said)
    one = operating(rows.assign(source_id=list("abcd")), rows, ["ill"], 0, harm=0.25)["decision"]
    assert one["threshold"] == pytest.approx(0.2)  # three are flagged: two ill, one well
    assert one["net_benefit"]["value"] == pytest.approx((2 - 0.25) / 4)
    assert one["flag_all"]["value"] == pytest.approx((2 - 2 * 0.25) / 4)
    assert one["gain"]["value"] == pytest.approx(0.25 / 4)
    at = one["curve"]["threshold"].index(0.5)
    assert (one["curve"]["net_benefit"][at], one["curve"]["flag_all"][at]) == (0, 0)


def test_a_calibrated_policy_is_worth_more_than_flagging_all_or_nobody():
    one = found(["c2"], harm=0.5)["decision"]
    assert one["gain"]["low"] > 0 and one["net_benefit"]["value"] > max(0, one["flag_all"]["value"])


def test_what_is_not_stated_is_absent():
    assert set(found()) == set(found(["tumour"])) == {"referral", "referral_at_coverage"}
    assert set(found(harm=0.1)) == {"referral", "referral_at_coverage"}
    assert set(found(["c2"])) == {"referral", "referral_at_coverage", "screening"}


def test_validation_without_disease_has_no_threshold():
    validation, test = tables()
    one = operating(validation[validation["ground_truth"] != "c2"], test, ["c2"], 0)["screening"]
    assert one["threshold"] is None and one["test"] is None and one["validation"]["with_disease"] == 0


def test_without_probabilities_there_is_nothing():
    validation, test = tables()
    assert operating(validation, test.drop(columns="probabilities"), None, 0) is None
    assert operating(validation.assign(probabilities=None), test, None, 0) is None
    assert operating(validation[:0], test, None, 0) is None


def test_the_same_images_are_refused():
    validation, test = tables()
    with pytest.raises(InputError, match="image image_0 is in the validation and in the test predictions"):
        operating(test, test, None, 0)
    assert operating(validation, test, ["c1"], 0) == operating(validation, test, ["c1"], 0)
