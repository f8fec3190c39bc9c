"""Tasks of phantoms: a seed draws them, their diseases exclude each other, names and findings are held out."""

import numpy as np
import pytest

from vrft_aug.data.phantoms import tasks
from vrft_aug.data.phantoms.findings import HELD_OUT, words
from vrft_aug.data.phantoms.names import draw_names, is_held_out_name
from vrft_aug.errors import InputError

DRAWN = [tasks.draw_diseases(seed, number) for seed in range(40) for number in range(2, tasks.MOST + 1)]


def test_the_seed_decides_the_task():
    assert list(tasks.draw_diseases(3, 4).items()) == list(tasks.draw_diseases(3, 4).items())
    assert len({tuple(one.items()) for one in DRAWN}) == len(DRAWN)
    for measure in tasks.MEASURES:
        assert tasks.draw_graded(3, measure) == tasks.draw_graded(3, measure)
        assert len({tuple(tasks.draw_graded(seed, measure)) for seed in range(40)}) == 8  # looks and shapes


def test_the_diseases_of_a_task_exclude_each_other():
    for found in map(list, (one.values() for one in DRAWN)):
        assert not any(a.matches(b) for place, a in enumerate(found) for b in found[:place])


def test_complete_diseases_are_held_out_and_some_are_partial():
    found = [finding for one in DRAWN for finding in one.values()]
    partial = [finding for finding in found if None in finding]
    assert {finding for finding in found if None not in finding} == set(HELD_OUT)
    assert 0.1 < len(partial) / len(found) < 0.3
    assert {finding.count(None) for finding in partial} == {1, 2}


def test_an_image_shows_its_disease_and_no_other():
    for seed, diseases in enumerate(DRAWN):
        rng = np.random.default_rng(seed)
        for name in diseases:
            shown = tasks.completed(rng, name, diseases)
            assert None not in shown
            assert [other for other, finding in diseases.items() if finding.matches(shown)] == [name]


def test_a_partial_disease_varies_in_what_is_left_open():
    name, diseases = next((name, one) for one in DRAWN for name, finding in one.items() if finding.count(None) == 2)
    rng = np.random.default_rng(0)
    shown = {tasks.completed(rng, name, diseases) for _ in range(200)}
    for index, value in enumerate(diseases[name]):
        assert (len({one[index] for one in shown}) > 1) == (value is None)


def test_the_names_are_held_out_different_and_no_known_words():
    names = [name for one in DRAWN for name in one]
    assert all(is_held_out_name(name) and name.isalpha() and name.istitle() for name in names)
    assert all(len(one) == len(set(one)) for one in DRAWN)
    others = draw_names(np.random.default_rng(0), 500, held_out=False)
    assert len(set(others)) == 500 and not set(others) & set(names)


def test_the_knowledge_describes_the_classes_in_their_order():
    diseases = tasks.draw_diseases(5, 6)
    assert list(tasks.knowledge("findings", 5, 6).items()) == [(name, words(one)) for name, one in diseases.items()]
    for measure in tasks.MEASURES:
        known = tasks.knowledge(measure, 5, None)
        assert list(known) == list("01234") and known["0"].startswith("no ") and known["1"].startswith("one ")


@pytest.mark.parametrize(("task", "message"), [
    (("segmentation", 0, 4), r"dataset\.loader\.task=segmentation: must be one of findings, number, extent"),
    (("findings", 0, 1), r"dataset\.loader\.diseases=1: must be a whole number, 2 to 11"),
    (("findings", 0, 12), r"diseases=12: must be"), (("findings", 0, None), r"diseases=null: must be"),
    (("findings", 0, "four"), r"diseases=four: must be"),
    (("number", 0, 4), r"diseases=4: task=number has the grades 0, 1, 2, 3, 4; use null"),
    (("findings", -1, 4), r"task_seed=-1: must be a whole number, 0 or more"),
    (("extent", None, None), r"task_seed=null: must be"),
])  # fmt: skip
def test_what_is_no_task_is_refused(task, message):
    with pytest.raises(InputError, match=message):
        tasks.knowledge(*task)
