"""Rollouts are written whole, kept below their size, dropped where a training resumes, and read with a clear error."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vrft_aug.engine.run import rollouts_file
from vrft_aug.engine.run.rollouts_file import Group
from vrft_aug.errors import InputError


def group(step: int, split: str = "train", response: str = "\\boxed{A}", samples: int = 2) -> Group:
    answer = {"response": response, "prediction": "A", "rejected": "", "acc": 1.0, "score": 0.9, "tokens": 4,
              "parts": [{"name": "accuracy", "value": 1.0, "share": 0.9}], "advantage": None, "kl": 0.25}  # fmt: skip
    return {"step": step, "split": split, "prompt": f"{step:05}.0003", "followed": True, "index": 7,
            "source_id": "image-7", "data_source": "toy", "task": "classification", "truth": "A",
            "classes": ["A", "B"], "text": "Which?", "knowledge": [], "answers": [answer] * samples}  # fmt: skip


def test_what_was_written_is_read(tmp_path):
    groups = [group(3), group(3) | {"prompt": "00003.0004", "knowledge": ["a", "b"], "truth": "[[1, 2, 3, 4]]"}]
    rollouts_file.write(tmp_path, groups, 1)
    assert rollouts_file.read(tmp_path, 3, "train") == groups
    assert [file.name for file in (tmp_path / "rollouts").iterdir()] == ["00003.train.parquet"]


def test_steps_are_in_order_and_other_files_are_none(tmp_path):
    assert rollouts_file.steps(tmp_path) == []
    for step, split in ((10, "val"), (10, "train"), (0, "val"), (2, "train")):
        rollouts_file.write(tmp_path, [group(step, split)], 1)
    (tmp_path / "rollouts" / "notes.parquet").write_text("mine")
    (tmp_path / "rollouts" / ".00011.train.parquet.part").write_text("half")
    assert rollouts_file.steps(tmp_path) == [(0, "val"), (2, "train"), (10, "train"), (10, "val")]


def test_a_resumed_training_drops_the_steps_that_it_does_again(tmp_path):
    for step in (1, 2, 3):
        rollouts_file.write(tmp_path, [group(step)], 1)
    rollouts_file.drop_after(tmp_path, 2)
    assert rollouts_file.steps(tmp_path) == [(1, "train"), (2, "train")]
    rollouts_file.drop_after(tmp_path / "none", 0)


def test_the_folder_stays_below_its_size_and_keeps_the_ends_of_both_splits(tmp_path):
    draw = random.Random(0)
    for step in range(24):
        noise = "".join(chr(draw.randrange(33, 9000)) for _ in range(60_000))  # does not compress
        rollouts_file.write(tmp_path, [group(step, response=noise, samples=1)], 1)
        if step % 4 == 0:
            rollouts_file.write(tmp_path, [group(step, "val")], 1)
        assert sum(file.stat().st_size for file in (tmp_path / "rollouts").iterdir()) <= 10**6
    kept = rollouts_file.steps(tmp_path)
    trained, validated = ([step for step, split in kept if split == one] for one in ("train", "val"))
    assert (trained[0], trained[-1], validated[0], validated[-1]) == (0, 23, 0, 20)
    assert 4 <= len(trained) < 24


@pytest.mark.parametrize("content", [b"", b"PAR1 not parquet PAR1", None])
def test_a_damaged_file_is_named(tmp_path, content):
    rollouts_file.write(tmp_path, [group(5)], 1)
    file = rollouts_file.path_of(tmp_path, 5, "train")
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(InputError) as raised:
        rollouts_file.read(tmp_path, 5, "train")
    assert str(file) in str(raised.value) and "remove the file" in str(raised.value)


def test_a_file_of_another_form_is_named(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = rollouts_file.path_of(tmp_path, 5, "train")
    file.parent.mkdir()
    pq.write_table(pa.table({"step": ["five"]}), file)
    with pytest.raises(InputError, match=r"00005\.train\.parquet: no rollouts can be read"):
        rollouts_file.read(tmp_path, 5, "train")


def test_any_text_of_a_policy_is_kept(tmp_path):
    text = "</script><b>\x00\ud83d\ude00 \n" + json.dumps({"a": 1})
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    rollouts_file.write(tmp_path, [group(1, response=text)], 1)
    assert rollouts_file.read(tmp_path, 1, "train")[0]["answers"][0]["response"] == text


def test_heads_are_the_same_groups_with_fewer_fields(tmp_path):
    rollouts_file.write(tmp_path, [group(3), group(3) | {"truth": "B", "followed": False}], 1)
    heads = rollouts_file.read_heads(tmp_path, 3, "train")
    groups = rollouts_file.read(tmp_path, 3, "train")
    names = {"index", "source_id", "truth", "followed", "classes"}
    assert [{name: one[name] for name in names} for one in heads] == [
        {name: one[name] for name in names} for one in groups]  # fmt: skip
    assert set(heads[0]["answers"][0]) == {"acc", "score", "rejected"} and set(heads[0]) == names | {"answers"}


@pytest.mark.parametrize("columns", [None, {"index": [1], "truth": ["A"]}])
def test_heads_of_a_damaged_file_or_one_of_another_form(tmp_path, columns):
    file = rollouts_file.path_of(tmp_path, 1, "train")
    file.parent.mkdir()
    pq.write_table(pa.table(columns), file) if columns else file.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"00001\.train\.parquet: no rollouts can be read"):
        rollouts_file.read_heads(tmp_path, 1, "train")
