"""The prepared rows hold the texts that their prompt shows, and the manifest counts the entries nobody has reviewed."""

import pyarrow.parquet as pq
import pytest
from toy_data import compose_config

from vrft_aug.data.knowledge import reading, review
from vrft_aug.data.preparation.prepare import prepare

SMALL = ("dataset.loader.train=8", "dataset.loader.val=4", "dataset.loader.test=4")


def prepared(folder, *overrides):
    manifest = prepare(compose_config("dataset=phantom", "prompt=knowledge", f"out={folder}", *SMALL, *overrides), None)
    return manifest, pq.read_table(folder / "train.parquet").to_pylist()[0]["extra_info"]


@pytest.mark.parametrize(("attributes", "ring"), [
    ("description", "bright circle with a dark centre"),
    ("attributes", "color: bright; shape: round and hollow"),
    ("both", "bright circle with a dark centre; color: bright; shape: round and hollow"),
])
def test_the_rows_hold_what_the_prompt_shows(tmp_path, attributes, ring):
    manifest, info = prepared(tmp_path, f"prompt.attributes={attributes}")
    assert manifest["prompt"]["attributes"] == attributes
    assert info["knowledge"][info["classes"].index("ring")] == ring
    assert f"- ring: {ring}\n" in info["prompt"]


def test_the_manifest_counts_the_entries_without_a_reviewer(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text((reading.BANK / "phantom.yaml").read_text())
    review.accept(own, "ring", "A. Name")
    knowledge = prepared(tmp_path / "out", f"+dataset.knowledge={own}")[0]["knowledge"]
    assert (knowledge["unreviewed"], knowledge["entries"]) == (3, 4)
    assert knowledge["review"] == {"draft": 0, "literature-checked": 3, "expert-reviewed": 1}


def test_a_prompt_without_knowledge_counts_nothing(tmp_path):
    assert prepared(tmp_path, "prompt=names")[0]["knowledge"] is None
