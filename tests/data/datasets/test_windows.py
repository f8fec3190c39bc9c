"""Windows: the standard's formulas by hand, percentiles, names, and what a config may say."""

import numpy as np
import pytest

from vrft_aug.data.datasets.windows import DEFAULT, NAMED, Percentiles, Window, greys, measured, parse_window
from vrft_aug.errors import InputError


@pytest.mark.parametrize(("value", "grey"), [
    (-1000, 0), (-160, 0), (-159, 1), (-60, 64), (40, 128), (140, 192), (238, 254), (239, 255), (3000, 255),
])  # fmt: skip
def test_a_soft_tissue_window_by_hand(value, grey):
    """PS3.3 C.11.2.1.2.1 with center 40 and width 400: y = ((x - 39.5) / 399 + 0.5) * 255 between -160 and 239."""
    assert greys(np.array([[value]]), Window(40, 400)) == grey


@pytest.mark.parametrize(("window", "values", "expected"), [
    (Window(50, 100, "LINEAR_EXACT"), [-1, 0, 25, 50, 100, 101], [0, 0, 64, 128, 255, 255]),
    (Window(0, 4, "SIGMOID"), [-1e9, 0, 1, 1e9], [0, 128, 186, 255]),  # 255 / (1 + exp(-1)) = 186.4
    (Window(10, 1), [9, 9.5, 10, 11], [0, 0, 255, 255]),  # the standard's narrowest window is a threshold
    (Window(0.5, 0.5), [0.25, 0.5, 0.75], [0, 128, 255]),  # of PET, narrower than LINEAR allows
])  # fmt: skip
def test_the_other_functions_by_hand(window, values, expected):
    assert greys(np.array([values]), window).tolist() == [expected]


def test_percentiles_leave_out_what_does_not_count():
    values = np.arange(-1, 102, dtype=float).reshape(1, -1)
    values[0, 0], values[0, -1] = np.nan, np.inf
    assert measured(values, Percentiles(0, 100)) == Window(50, 100, "LINEAR_EXACT")
    assert measured(values, Percentiles(10, 90))[:2] == (50, 80)
    assert measured(values, Percentiles(0, 100), values > 50)[:2] == (25, 50)
    assert greys(values, Window(50, 100, "LINEAR_EXACT"))[0, [0, 1, -2, -1]].tolist() == [0, 0, 255, 255]
    with pytest.raises(ValueError, match="no pixel with a finite value"):
        measured(np.full((2, 2), np.nan), DEFAULT)


def test_a_small_mask_is_seen_though_its_percentiles_are_equal():
    mask = np.zeros((100, 100))
    mask[5, 5] = 7
    assert np.unique(greys(mask, measured(mask, DEFAULT))).tolist() == [0, 255]


def test_a_window_from_a_config():
    assert parse_window("w", None) is None
    assert parse_window("w", "lung") == Window(-600, 1500, name="lung")
    assert parse_window("w", {"center": 40, "width": 400}) == Window(40, 400)
    assert parse_window("w", {"percentiles": [1, 99]}) == Percentiles(1, 99)
    assert all(width >= 40 for _, width in NAMED.values())


@pytest.mark.parametrize(("value", "told"), [
    ("lungs", "w=lungs: no such window; write one of abdomen, bone"), (7, "no such window"),
    ({"center": 40}, "no such window"), ({"center": 40, "width": 0}, "w.width=0: a window is at least 1 wide"),
    ({"center": "x", "width": 4}, "not two numbers"), ({"center": float("nan"), "width": 4}, "not two numbers"),
    ({"percentiles": [99, 1]}, "the lower one first"), ({"percentiles": 5}, "not two numbers"),
    ({"percentiles": [-1, 99]}, "from 0 to 100"), ({"percentiles": [1, 50, 99]}, "not two numbers"),
])  # fmt: skip
def test_another_window_is_refused(value, told):
    with pytest.raises(InputError, match=told) as caught:
        parse_window("w", value)
    assert "\n" not in str(caught.value)
