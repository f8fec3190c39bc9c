"""The prepared rows hold the texts that their prompt shows, and the manifest counts the entries nobody has reviewed."""

import hashlib

import pyarrow.parquet as pq
import pytest
from toy_data import compose_config, write_toy

from vrft_aug.data.knowledge import reading, review
from vrft_aug.data.phantoms import tasks
from vrft_aug.data.preparation.prepare import prepare

SMALL = ("dataset.loader.train=8", "dataset.loader.val=4", "dataset.loader.test=4")
BANK = """dataset: folder
classes:
  negative:
    description: even grey field
    attributes: {color: grey, shape: null, texture: even, location: null}
    confidence: low
    sources: []
    review: draft
  positive:
    description: bright circle with a dark centre
    attributes: {color: bright, shape: round and hollow, texture: null, location: null}
    confidence: low
    sources: []
    review: draft
sources: {}
"""


def prepared(folder, *overrides):
    manifest = prepare(compose_config("prompt=knowledge", f"out={folder / 'out'}", *overrides), None)
    return manifest, pq.read_table(folder / "out" / "train.parquet").to_pylist()[0]["extra_info"]


@pytest.fixture
def own(tmp_path, data_root):
    """The overrides that choose a data set in a folder with a bank file, and this file."""
    path = tmp_path / "own.yaml"
    path.write_text(BANK)
    write_toy(data_root, "folder")
    return ["dataset=folder", f"data_root={data_root}", f"+dataset.knowledge={path}"], path


@pytest.mark.parametrize(("attributes", "text"), [
    ("description", "bright circle with a dark centre"),
    ("attributes", "color: bright; shape: round and hollow"),
    ("both", "bright circle with a dark centre; color: bright; shape: round and hollow"),
])
def test_the_rows_hold_what_the_prompt_shows(tmp_path, own, attributes, text):
    manifest, info = prepared(tmp_path, *own[0], f"prompt.attributes={attributes}")
    assert manifest["prompt"]["attributes"] == attributes
    assert info["knowledge"][info["classes"].index("positive")] == text
    assert f"- positive: {text}." in info["prompt"]


def test_the_manifest_counts_the_entries_without_a_reviewer(tmp_path, own):
    overrides, path = own
    review.accept(path, "positive", "A. Name")
    knowledge = prepared(tmp_path, *overrides)[0]["knowledge"]
    assert (knowledge["unreviewed"], knowledge["entries"]) == (1, 2)
    assert knowledge["review"] == {"draft": 1, "literature-checked": 0, "expert-reviewed": 1}
    assert knowledge["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_knowledge_of_the_config_has_a_checksum_and_no_reviews(tmp_path):
    drawn = {}
    for seed in (0, 0, 3):
        manifest, info = prepared(tmp_path, "dataset=phantom", f"task_seed={seed}", *SMALL)
        known = tasks.knowledge("findings", seed, 4)
        assert manifest["dataset"]["knowledge"] == known
        assert dict(zip(info["classes"], info["knowledge"], strict=True)) == known
        facts = manifest["knowledge"]
        assert (facts["entries"], facts["unreviewed"], facts["review"]) == (4, None, None)
        assert drawn.setdefault(seed, facts["sha256"]) == facts["sha256"]
    assert drawn[0] != drawn[3]


def test_a_file_may_replace_the_knowledge_of_the_config(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("".join(f"{name}: it looks like {name}\n" for name in tasks.knowledge("findings", 0, 4)))
    manifest, info = prepared(tmp_path, "dataset=phantom", f"dataset.knowledge={path}", *SMALL)
    assert info["knowledge"] == [f"it looks like {name}" for name in info["classes"]]
    assert manifest["knowledge"]["unreviewed"] == 4 and reading.read(path)["dataset"] == "own"


def test_a_prompt_without_knowledge_counts_nothing(tmp_path):
    assert prepared(tmp_path, "dataset=phantom", "prompt=names", *SMALL)[0]["knowledge"] is None
