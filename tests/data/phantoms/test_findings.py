"""What a phantom can show: the held-out findings are balanced and unseen; findings and grades have their own words."""

from collections import Counter

import pytest

from vrft_aug.data.phantoms.findings import ALL, HELD_OUT, SEEN, VALUES, Finding, is_held_out, words
from vrft_aug.data.phantoms.grades import EXTENTS, GRADES, MEASURES, Graded, grade_words


def test_a_finding_is_either_held_out_or_seen():
    assert (len(ALL), len(HELD_OUT)) == (160, 16)
    assert set(HELD_OUT) | set(SEEN) == set(ALL) and not set(HELD_OUT) & set(SEEN)
    assert all(is_held_out(finding) == (finding in HELD_OUT) for finding in ALL)


def test_the_held_out_findings_are_balanced():
    number, look, shape, place = (Counter(values) for values in zip(*HELD_OUT, strict=True))
    assert set(number.values()) == set(shape.values()) == {4} and set(look.values()) == {8}
    assert len(place) == 5 and set(place.values()) <= {3, 4}


def test_each_pair_of_values_is_seen():
    """So what a held-out finding combines is known, each part with each other part."""
    for one in range(4):
        for other in range(one):
            pairs = {(finding[one], finding[other]) for finding in SEEN}
            assert len(pairs) == len(VALUES[one]) * len(VALUES[other])


@pytest.mark.parametrize(("finding", "text"), [
    (Finding(1, 1, 1, 1), "two dark rings in the upper left"),
    (Finding(0, 0, 3, 0), "one bright cross in the centre"),
    (Finding(3, 0, 3, 4), "four bright crosses in the lower right"),
    (Finding(None, 1, 1, None), "dark ring"),
    (Finding(2, None, None, 2), "three lesions in the upper right"),
])  # fmt: skip
def test_a_finding_in_words(finding, text):
    assert words(finding) == text


def test_no_two_findings_have_the_same_words():
    assert len({words(finding) for finding in ALL}) == len(ALL)


def test_findings_match_where_one_image_can_show_both():
    dark_ring = Finding(None, 1, 1, None)
    assert dark_ring.matches(Finding(2, 1, 1, 0)) and Finding(2, 1, 1, 0).matches(dark_ring)
    assert dark_ring.matches(Finding(2, None, None, 0))
    assert not dark_ring.matches(Finding(2, 0, 1, 0)) and not Finding(0, 1, 1, 0).matches(Finding(2, 1, 1, 0))


@pytest.mark.parametrize(("graded", "text"), [
    (Graded(0, 0, 1, 1), "no dark ring"), (Graded(0, 1, 0, 3), "one bright cross"),
    (Graded(0, 4, 0, 3), "four bright crosses"), (Graded(1, 0, 0, 0), "no bright disc"),
    (Graded(1, 3, 1, 2), "one large dark streak"),
])  # fmt: skip
def test_a_grade_in_words(graded, text):
    assert grade_words(graded) == text


def test_the_grades_of_a_task_have_different_words():
    for measure in range(len(MEASURES)):
        assert len({grade_words(Graded(measure, grade, 0, 0)) for grade in range(len(GRADES))}) == len(GRADES)
    assert len(EXTENTS) == len(GRADES) - 1
