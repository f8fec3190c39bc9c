"""Agreement of the policy with human readers, and of the readers with each other, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from toy_runs import GRADES, predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.evaluation.metrics.measure import measure


@pytest.fixture(scope="module")
def read():
    """Truth, answers and two readers who each miss a part of the images."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 200)
    near = [np.clip(truth + rng.integers(-1, 2, 200), 0, 4).astype(str).astype(object) for _ in range(3)]
    near[1][:20], near[2][150:] = "", ""
    return [list(truth.astype(str)), *map(list, near)]


def agreements(read, resamples=40, **columns):
    truth, answers, first, second = read
    table = predictions(truth, answers, reader_R=first, reader_D=second).assign(**columns)
    return measure(table, resamples=resamples)["toy/grading"]["readers"]


def test_agreement_and_kappa_are_scikit_learns(read):
    _, answers, first, second = map(np.array, read)
    found = agreements(read)
    both = (first != "") & (second != "")
    pairs = [(found["policy"]["R"], answers, first, first != ""), (found["policy"]["D"], answers, second, second != ""),
             (found["each_other"]["R"]["D"], first, second, both),
             (found["each_other"]["R"]["D"]["policy"]["R"], answers, first, both)]  # fmt: skip
    for pair, a, b, seen in pairs:
        assert pair["n"] == pair["groups"] == seen.sum()
        assert pair["agreement"] == wilson(int((a == b)[seen].sum()), int(seen.sum()))
        kappa = cohen_kappa_score(a[seen], b[seen], labels=GRADES, weights="quadratic")
        assert pair["quadratic_kappa"]["value"] == pytest.approx(kappa)
        assert pair["quadratic_kappa"]["low"] < kappa < pair["quadratic_kappa"]["high"]
    assert both.sum() == 130


def test_patients_with_many_images_widen_the_intervals(read):
    repeated = [[one for one in column[:40] for _ in range(5)] for column in read]
    alone = agreements(repeated)["policy"]["D"]
    grouped = agreements(repeated, group_id=[str(i // 5) for i in range(200)])["policy"]["D"]
    assert grouped["groups"] == 40
    for key in ("agreement", "quadratic_kappa"):
        assert grouped[key]["value"] == pytest.approx(alone[key]["value"])
        assert grouped[key]["high"] - grouped[key]["low"] > 1.5 * (alone[key]["high"] - alone[key]["low"])


def test_an_answer_that_counts_for_nothing_agrees_with_nobody():
    table = predictions(["0"] * 10, [""] * 10, reader_R=["0", "4"] * 5)
    found = measure(table, resamples=20)["toy/grading"]["readers"]
    assert found["policy"]["R"]["agreement"]["value"] == 0 and found["each_other"] == {}
    assert found["policy"]["R"]["quadratic_kappa"]["value"] == -1, "each is the grade farthest from the reader's"


def test_readers_of_classes_have_no_kappa_and_case_does_not_matter():
    table = predictions(["cat", "dog"] * 5, ["cat"] * 10, ["cat", "dog"], "classification", reader_R=["Cat", ""] * 5)
    found = measure(table, resamples=20)["toy/classification"]["readers"]
    assert found["policy"]["R"] == {"n": 5, "groups": 5, "agreement": wilson(5, 5)}


def test_readers_without_a_common_image_and_words_that_are_no_class():
    table = predictions(["0", "1"], ["0", "1"], reader_R=["0", ""], reader_D=["", "1"])
    pair = measure(table, resamples=20)["toy/grading"]["readers"]["each_other"]["R"]["D"]
    assert (pair["n"], pair["agreement"], pair["policy"]["R"]["n"]) == (0, None, 0)
    with pytest.raises(InputError, match="image image_1: reader R gives '9', which is not a class"):
        measure(table.assign(reader_R=["0", "9"]), resamples=20)
