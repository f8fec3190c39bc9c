"""The entries of the bank: their form, what they may say, and what is known of their sources."""

import re

import pytest
from toy_data import CLASSIFIED, dataset_yaml

from vrft_aug.data.knowledge import reading, review
from vrft_aug.data.settings import Dataset

FILES = sorted(reading.BANK.glob("*.yaml"))
ENTRIES = [(path.stem, name, entry) for path in FILES for name, entry in reading.read(path)["classes"].items()]
MODES = ("description", "attributes", "both")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_the_form_in_which_it_is_written(path):
    """So drafting changes one entry. `review.save(reading.read(path), path, [])` gives a file this form."""
    assert review.written(reading.read(path)) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("dataset", "name", "entry"), ENTRIES, ids=[f"{one[0]}-{one[1]}" for one in ENTRIES])
def test_an_entry_does_not_name_its_class(dataset, name, entry):
    for own in [name, *dataset_yaml(dataset).get("aliases", {}).get(name, [])]:
        if not own.isdecimal():
            for mode in MODES:
                assert not re.search(rf"(?<![\w-]){re.escape(own)}(?![\w-])", reading.entry_text(entry, mode), re.I)


@pytest.mark.parametrize("name", [name for name in CLASSIFIED if name != "folder"])
@pytest.mark.parametrize("mode", MODES)
def test_texts_tell_the_classes_apart(name, mode):
    dataset = Dataset.of(dataset_yaml(name))
    texts = reading.texts(reading.read_for(dataset), dataset.classes, mode)
    assert len(set(texts)) == len(texts)
    assert all(text and not text.endswith(".") for text in texts)


def test_a_healthy_fundus_is_described_by_what_it_shows():
    bank = reading.read(reading.BANK / "retina.yaml")
    healthy = bank["classes"]["0"]
    assert "background" in healthy["description"] and healthy["attributes"]["color"]
    assert [bank["sources"][key]["read"] for key in healthy["sources"]
            if "Normal fundus" in bank["sources"][key]["citation"]] == [True]


def test_nobody_with_a_licence_has_reviewed_the_bank():
    """The day somebody does, this line changes with the README's."""
    assert {entry["review"] for _, _, entry in ENTRIES} == {"draft"}


def test_attributes_description_or_both():
    known = {"description": "a bright ring.", "attributes": {"location": "middle", "color": "bright", "shape": None,
                                                             "texture": None}}
    assert [reading.entry_text(known, mode) for mode in MODES] == [
        "a bright ring", "color: bright; location: middle", "a bright ring; color: bright; location: middle",
    ]  # fmt: skip
    assert {reading.entry_text(reading.full("a bright ring"), mode) for mode in MODES} == {"a bright ring"}


def test_the_texts_follow_the_order_of_the_classes():
    bank = {"classes": {"a": reading.full("first"), "b": reading.full("second")}}
    assert reading.texts(bank, ["b", "a"], "description") == ["second", "first"]
