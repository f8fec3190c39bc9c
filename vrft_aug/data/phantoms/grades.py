"""Says what a graded phantom can show: grade 0 to 4 is a number of lesions, or the extent of one lesion."""

from typing import NamedTuple

from vrft_aug.data.phantoms.findings import LOOKS, NUMBERS, SHAPES, plural

MEASURES = ("number", "extent")
EXTENTS = ("small", "medium", "large", "huge")
GRADES = ("0", "1", "2", "3", "4")


class Graded(NamedTuple):
    """measure: an index into MEASURES. grade: 0 (no lesion) to 4. look, shape: as in a Finding."""

    measure: int
    grade: int
    look: int
    shape: int


def grade_words(graded: Graded) -> str:
    """What is graded, in words: "no dark ring", "three dark rings", or "one large dark ring"."""
    measure, grade, look, shape = graded
    lesion = f"{LOOKS[look]} {SHAPES[shape]}"
    if not grade:
        return f"no {lesion}"
    if MEASURES[measure] == "number":
        return f"{NUMBERS[grade - 1]} {LOOKS[look]} {plural(SHAPES[shape], grade - 1)}"
    return f"one {EXTENTS[grade - 1]} {lesion}"
