"""The groups of a step in each tracker, offline: what a reader of its files finds, and what a failure costs."""

import json
import logging
import struct
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.utils.tracking import Tracking

from vrft_aug.engine.run.rollouts_file import Answer, Group
from vrft_aug.engine.training.rollout_trackers import COLUMNS, SENDERS, RolloutTrackers, Shown, escaped, markdown, plain

HOSTILE = ("<think>a | b</think>\n# <script>alert(1)</script>\n<img src=http://e.example/x.png> &lt; ![x](http://e.example/y)"
           " [a](javascript:1) www.e.example `code` **b** _c_ \\boxed{A} \"--x_x--0_0--\"")  # fmt: skip
EXTRA = "{} is not installed: pip install 'vrft-aug[trackers]'"


def answer(score: float, advantage: float | None = None) -> Answer:
    parts = [{"name": "accuracy", "value": score, "share": score * 0.9}, {"name": "format", "value": 1, "share": 0.1}]
    return {"response": HOSTILE, "prediction": "A", "rejected": "", "acc": score, "score": score, "parts": parts,
            "tokens": 4, "advantage": advantage, "kl": None if advantage is None else 0.25}  # fmt: skip


def shown(step: int, split: str = "train") -> list[Shown]:
    group: Group = {
        "step": step, "split": split, "prompt": "00001.0000", "followed": True, "index": 12, "source_id": "<b>12</b>",
        "data_source": "toy", "task": "classification", "truth": "A|B", "classes": ["A|B", "C"], "text": "Which one?",
        "knowledge": [], "answers": [answer(1, 0.5), answer(0, -0.5)] if split == "train" else [answer(1)],
    }  # fmt: skip
    picture = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 30))
    return Shown.of([group, group | {"followed": False}, group | {"followed": False}], lambda _: picture)


def tracked(name: str, send: bool = True) -> Tracking:
    """Two steps of a training, in verl's order: what is shown of a step, then its numbers."""
    tracking, trackers = Tracking("project", "run", [name], {"trainer": {"seed": 1}}), RolloutTrackers()
    for step in (1, 2):
        trackers.send(tracking.logger, "train", step, shown(step))
        if step == 2:
            trackers.send(tracking.logger, "val", step, shown(step, "val"))
        tracking.log({"loss": 0.5}, step)
    assert trackers.failed == set()
    return tracking


class Text(HTMLParser):
    """The text of a page, and the names of its tags."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.tags = "", set()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        self.text += "\n" if tag == "br" else ""


def test_every_prompt_that_is_followed_has_a_name_of_its_own():
    assert [one.name for one in shown(1)] == ["row 12", "mixed 1", "mixed 2"]


def test_tensorboard_shows_texts_and_images(tmp_path, monkeypatch):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path))
    tracked("tensorboard").finish()
    found = accumulators.EventAccumulator(str(tmp_path)).Reload()
    assert [one.step for one in found.Scalars("loss")] == [1, 2]
    names = {f"rollouts/{split}/{name}" for split in ("train", "val") for name in ("row 12", "mixed 1", "mixed 2")}
    assert set(found.Tags()["images"]) == names
    assert set(found.Tags()["tensors"]) == {f"{name}/text_summary" for name in names}
    assert [one.step for one in found.Images("rollouts/train/row 12")] == [1, 2]
    picture = found.Images("rollouts/train/row 12")[0]
    assert (picture.width, picture.height, picture.encoded_image_string[:4]) == (30, 10, b"\x89PNG")
    text = found.Tensors("rollouts/train/row 12/text_summary")[1].tensor_proto.string_val[0].decode()
    assert text == markdown(shown(2)[0].group)


def test_in_tensorboard_what_the_policy_wrote_stays_text():
    render = pytest.importorskip("tensorboard.plugin_util").markdown_to_safe_html
    page = Text(render(markdown(shown(1)[0].group)))
    assert page.tags <= {"p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.text.count(HOSTILE) == 2 and "Row 12 (<b>12</b>), truth: A|B" in page.text
    cells = ["1", "accuracy 0.9, format 0.1", "0.5", "0.25", "A"]
    assert "\n".join(cells) in page.text and "\n-0.5\n" in page.text
    assert Text(render(escaped("1. a\n- b\n    c"))).text == "1. a\n- b\n    c"


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of a run's file: parts behind a head of 7 bytes, in blocks of 32 KiB (the form of LevelDB's log)."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, record = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if (left := -place % 2**15) and left < 7:
            place += left
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the whole, or the last part
            yield Record.FromString(record)
            record = b""


def test_wandb_has_a_table_with_images_for_each_step(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason=EXTRA.format("wandb"))
    for key, value in {"MODE": "offline", "DIR": "run", "DATA_DIR": "data", "CACHE_DIR": "cache"}.items():
        monkeypatch.setenv(f"WANDB_{key}", value if key == "MODE" else str(tmp_path / value))
    tracking = tracked("wandb")
    RolloutTrackers().send(tracking.logger, "train", 1, shown(1))  # W&B drops what is late
    tracking.finish()
    wandb.teardown()  # the file is whole when its process has ended
    records = list(wandb_records(next(tmp_path.glob("run/wandb/offline-run-*/*.wandb"))))
    keys = [{item.key or item.nested_key[0] for item in one.history.item} - {"_runtime", "_step", "_timestamp"}
            for one in records if one.HasField("history")]  # fmt: skip
    assert [one.history.step.num for one in records if one.HasField("history")] == [1, 2]
    assert keys == [{"loss", "rollouts/train"}, {"loss", "rollouts/train", "rollouts/val"}]
    stored = {entry.path: Path(entry.local_path) for one in records if one.HasField("artifact")
              for entry in one.artifact.manifest.contents}  # fmt: skip
    table = json.loads(stored["rollouts/train.table.json"].read_text())
    assert table["columns"] == list(COLUMNS) and len(table["data"]) == 6
    row = dict(zip(COLUMNS, table["data"][1], strict=True))
    assert Image.open(stored[row.pop("image")["path"]]).size == (30, 10)
    assert row == {"prompt": "row 12", "text": "Which one?", "truth": "A|B", "answer": HOSTILE, "prediction": "A",
                   "score": 0, "rewards": "accuracy 0, format 0.1", "advantage": -0.5, "kl": 0.25}  # fmt: skip


def test_trackio_has_a_table_with_images_for_each_step(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # read when it is imported
    pytest.importorskip("trackio", reason=EXTRA.format("trackio"))
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import MEDIA_DIR

    tracked("trackio").finish()
    logs = SQLiteStorage.get_logs("project", "run")
    tables = {one["step"]: one["rollouts/train"]["_value"] for one in logs if "rollouts/train" in one}
    assert set(tables) == {1, 2} and [one["step"] for one in logs if "rollouts/val" in one] == [2]
    first = tables[1][0]
    assert (first["answer"], first["truth"], first["kl"], list(first)) == (HOSTILE, "A|B", 0.25, list(COLUMNS))
    assert Image.open(MEDIA_DIR / first["image"]["file_path"]).size == (30, 10)


def test_mlflow_has_a_table_and_an_image_for_each_step(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason=EXTRA.format("mlflow"))
    monkeypatch.chdir(tmp_path)  # where a database's artifacts go
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlruns.db")
    tracking = tracked("mlflow")
    run = mlflow.active_run().info
    tracking.finish()
    table = mlflow.load_table("rollouts/train.00000.json", [run.run_id])
    assert list(table.columns) == ["step", *COLUMNS] and list(table["step"]) == [1] * 6 + [2] * 6
    assert set(table["answer"]) == {HOSTILE} and list(table["advantage"][:2]) == [0.5, -0.5]
    images = [*(tmp_path / "mlruns").rglob("images/*.png")]
    assert len(images) == 9 and {Image.open(file).size for file in images} == {(30, 10)}


def test_swanlab_has_a_table_and_images_for_each_step(tmp_path, monkeypatch):
    pytest.importorskip("swanlab", reason=EXTRA.format("swanlab"))
    monkeypatch.setenv("SWANLAB_MODE", "offline")
    monkeypatch.setenv("SWANLAB_LOG_DIR", str(tmp_path))
    tracked("swanlab").finish()
    tables = [json.loads(file.read_text()) for file in tmp_path.rglob("*.json") if "rowData" in file.read_text()]
    assert len(tables) == 3
    first = tables[0]["rowData"][0]
    assert first["answer"] == plain(HOSTILE) and list(first) == list(COLUMNS)
    assert {Image.open(file).size for file in tmp_path.rglob("*.png")} == {(30, 10)}


class Broken:
    """A tracker without its server."""

    calls = 0

    def __getattr__(self, name: str):
        self.calls += 1
        raise ConnectionError("http://name:secret@tracker.example refused")


def test_a_tracker_that_fails_costs_one_line_and_the_others_continue(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path))
    tracking, broken, trackers = Tracking("project", "run", ["tensorboard"]), Broken(), RolloutTrackers()
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            trackers.send({"wandb": broken, "file": broken, **tracking.logger}, "train", step, shown(step))
    assert [record.getMessage() for record in caplog.records] == [
        "wandb: shows no rollouts (ConnectionError); the run's folder has them"
    ]
    assert broken.calls == 1 and trackers.failed == {"wandb"}
    tracking.finish()
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulators.EventAccumulator(str(tmp_path)).Reload()
    assert [one.step for one in found.Images("rollouts/train/mixed 1")] == [1, 2]


def test_nothing_is_sent_of_a_step_without_groups():
    broken = Broken()
    RolloutTrackers().send(dict.fromkeys(SENDERS, broken), "train", 1, [])
    assert broken.calls == 0
