"""Tests claims about class probabilities and about slices of the test images, with planted differences."""

from pathlib import Path

import numpy as np
import pytest
from toy_runs import write_cell
from toy_scores import draw, scored
from toy_tables import HELPS, ROWS, judged

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.paper.claims_layout import claims_frame, claims_table
from vrft_aug.experiments.claims import Claim

IMAGES = 400


def write(root: Path, experiment: str, confidence: float, **columns) -> None:
    """A run whose probabilities are right (1), over-confident (above 1) or reversed (-1)."""
    scores = draw(np.random.default_rng(7), IMAGES, confidence, classes=2)
    rows = scored(scores, data_source="retina", **columns)
    write_cell(root, "tiny", "retina", 256, experiment, rows=rows)


def test_a_claim_may_be_about_probabilities(tmp_path: Path):
    write(tmp_path, "v_rft", 3.0)
    write(tmp_path, "v_rft_pa_p", 1.0)
    names = ("brier", "calibration_error", "auroc", "accuracy_at_80", "aurc", "mean_absolute_error")
    brier, error, auroc, accuracy, aurc, none = judged(tmp_path, *(HELPS | {"metric": name} for name in names))
    assert (brier.whole.verdict, error.whole.verdict) == ("supported", "supported")  # smaller is better
    assert brier.whole.difference["low"] > 0.01 and error.whole.difference["value"] > 0.05
    for same in (auroc, accuracy, aurc):  # of two classes both have the same order
        assert same.whole.verdict == "not supported" and same.whole.difference["value"] == pytest.approx(0, abs=1e-12)
    assert none.whole.verdict == "not tested: classification has no mean_absolute_error"


def test_a_larger_error_contradicts(tmp_path: Path):
    write(tmp_path, "v_rft", 1.0)
    write(tmp_path, "v_rft_pa_p", -1.0)
    found = judged(tmp_path, *(HELPS | {"metric": name} for name in ("brier", "aurc", "auroc", "auprc")))
    assert {one.whole.verdict for one in found} == {"contradicted"}
    assert all(one.whole.difference["high"] < 0 for one in found)


def test_predictions_without_probabilities_are_said(tmp_path: Path):
    write(tmp_path, "v_rft", 1.0, probabilities=None)
    write(tmp_path, "v_rft_pa_p", 1.0)
    claims = [HELPS | {"metric": name} for name in ("auroc", "sensitivity_at_90_specificity", "auroc_of")]
    auroc, sensitivity, unknown = (one.whole.verdict for one in judged(tmp_path, *claims))
    assert auroc == "not tested: the predictions have no class probabilities; evaluate with probabilities=true"
    assert sensitivity.startswith("not tested: sensitivity_at_90_specificity needs classes of disease")
    assert unknown == "not tested: the predictions have no numeric column auroc_of"


def test_a_claim_may_be_about_a_slice(tmp_path: Path):
    sex = np.where(np.arange(IMAGES) < 100, "female", np.where(np.arange(IMAGES) < 390, "male", ""))
    for experiment, right in (("v_rft", np.zeros(IMAGES)), ("v_rft_pa_p", (sex == "female").astype(float))):
        write(tmp_path, experiment, 1.0, slice_sex=sex, thought_right=right)
    about = {"metric": "thought_accuracy"}
    female, male, other, none, auroc = judged(tmp_path, *(HELPS | one for one in (
        about | {"slice": "sex=female"}, about | {"slice": "sex=male"}, {"slice": "sex=unknown"},
        {"slice": "site=A"}, {"metric": "auroc", "slice": "sex=female"})))  # fmt: skip
    assert (female.whole.verdict, female.whole.images, female.whole.difference["value"]) == ("supported", 100, 1)
    assert (male.whole.verdict, male.whole.images, male.whole.difference["value"]) == ("not supported", 290, 0)
    assert other.whole.verdict == "not tested: no test image has sex=unknown; the values are: female, male"
    assert none.whole.verdict.startswith("not tested: the predictions have no column slice_site")
    assert auroc.whole.images == 100
    assert claims_table([auroc, male]).rows[0][0] == "PA_P helps (auroc, sex=female)"
    assert list(claims_frame([female, none])["slice"]) == ["sex=female", "site=A"]


def test_the_papers_number_is_not_set_beside_that_of_a_slice(tmp_path: Path):
    for experiment in ("v_rft", "v_rft_pa_p"):
        write(tmp_path, experiment, 1.0, slice_sex="female")
    rows = [row for row in ROWS if row["experiment"] != "zero_shot"]
    whole, part = judged(tmp_path, HELPS, HELPS | {"slice": "sex=female"}, name="table3", rows=rows)
    assert [row[5] for row in claims_table([whole, part]).rows] == ["−16.00", "–"]


@pytest.mark.parametrize("slice", ["sex", "=female", "sex=", "", 3])
def test_a_slice_has_a_name_and_a_value(slice):
    with pytest.raises(InputError, match=r'slice=.* must be null or "<name>=<value>"'):
        Claim(**HELPS, slice=slice)
