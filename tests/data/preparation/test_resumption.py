"""An interrupted preparation continues after its finished shards, to the bytes of one without an interruption."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from repository import ROOT
from toy_data import compose_config, noise, write_csv

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows import parquet_files
from vrft_aug.errors import InputError

SPLITS = {"train": 30, "val": 6, "test": 14}
SETTINGS = ("dataset=folder", "shard_mb=1", "workers=0", "validation.total=null")
EVERYTHING = sum(SPLITS.values())


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Row groups of 4 images of 90 kB, so that 8 images fill a shard of 1 MB."""
    monkeypatch.setattr(parquet_files, "GROUP_ROWS", 4)


@pytest.fixture
def images(data_root):
    """50 images of noise; test repeats train 2."""
    rng, rows = np.random.default_rng(0), []
    (data_root / "folder").mkdir(parents=True)
    for split, number in SPLITS.items():
        for i in range(number):
            Image.fromarray(noise(rng, 150, 200, 3)).save(data_root / "folder" / f"{split}{i}.png")
            rows.append({"image": f"{split}{i}.png", "label": ("negative", "positive")[i % 2], "split": split})
    (data_root / "folder" / "test9.png").write_bytes((data_root / "folder" / "train2.png").read_bytes())
    write_csv(data_root / "folder" / "images.csv", rows)
    return data_root


class Track:
    """Counts the samples that are opened; after `last` of them comes Ctrl-C."""

    def __init__(self, last=None):
        self.last, self.opened = last, 0

    def __call__(self, items, text, total):
        for item in items:
            if self.opened == self.last:
                raise KeyboardInterrupt
            self.opened += 1
            yield item


def run(root, out, *overrides, last=None):
    """Prepare until the Ctrl-C; returns how many images were opened."""
    track = Track(last)
    config = compose_config(*SETTINGS, f"data_root={root}", f"out={out}", *overrides)
    if last is None:
        prepare(config, None, track)
    else:
        with pytest.raises(KeyboardInterrupt):
            prepare(config, None, track)
    return track.opened


def checksums(out):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}


@pytest.mark.parametrize("export", ["null", "trl"])
def test_interrupted_four_times_it_writes_the_same_bytes(tmp_path, images, export):
    assert run(images, tmp_path / "whole", f"export={export}") == EVERYTHING
    whole, out = checksums(tmp_path / "whole"), tmp_path / "broken"
    assert {"train-00003.parquet", "sft_train-00003.parquet", "test-00001.parquet", "val.parquet"} <= whole.keys()
    for last in (12, 13, 12):  # 8 rows are a shard; each start opens again what was not finished
        assert run(images, out, f"export={export}", last=last) == last
        assert [path.name for path in out.iterdir()] == [".partial"]
    assert run(images, out, f"export={export}", last=13) == 13  # train and val are finished
    assert run(images, out, f"export={export}") == SPLITS["test"]
    assert checksums(out) == whole


def test_what_was_not_finished_leaves_nothing(tmp_path, images):
    assert run(images, tmp_path / "out", last=5) == 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["seed=1 limit.train=20", "shard_mb=2", "leakage=drop"])
def test_other_settings_start_anew(tmp_path, images, change):
    run(images, tmp_path / "out", last=25)
    opened = run(images, tmp_path / "out", *change.split())
    assert opened == run(images, tmp_path / "whole", *change.split())
    assert checksums(tmp_path / "out") == checksums(tmp_path / "whole")


def test_another_list_starts_anew(tmp_path, images):
    run(images, tmp_path / "out", last=25)
    file = images / "folder" / "images.csv"
    file.write_text(file.read_text().replace("train29.png,positive", "train29.png,negative"))
    assert run(images, tmp_path / "out") == EVERYTHING


@pytest.mark.parametrize("what", ["image", "rows", "facts", "journal"])
def test_a_shard_that_has_changed_is_written_again(tmp_path, images, what):
    """Three shards of 8 rows are finished; something of the second changes, so rows 8 to 49 are opened."""
    run(images, tmp_path / "out", last=29)
    stage = tmp_path / "out" / ".partial"
    if what == "image":
        Image.fromarray(noise(np.random.default_rng(1), 150, 200, 3)).save(images / "folder" / "train9.png")
    elif what == "rows":
        path = stage / "rows" / "sft_train-00001.parquet"
        path.write_bytes(path.read_bytes()[:-1])
    elif what == "facts":
        (stage / "facts" / "train-8.parquet").write_bytes(b"PAR1")
    else:  # the process ended while it wrote the line
        lines = (stage / "journal.jsonl").read_text().splitlines(keepends=True)
        (stage / "journal.jsonl").write_text("".join(lines[:2]) + lines[2][:30])
    assert run(images, tmp_path / "out") == EVERYTHING - 8
    run(images, tmp_path / "whole")
    assert checksums(tmp_path / "out") == checksums(tmp_path / "whole")


def test_the_second_pass_of_leakage_drop_is_continued(tmp_path, images):
    """The first pass finds a copy; the second one, without it, is interrupted."""
    twice = EVERYTHING + EVERYTHING - 1
    assert run(images, tmp_path / "whole", "leakage=drop") == twice
    run(images, tmp_path / "out", "leakage=drop", last=EVERYTHING + 12)
    assert run(images, tmp_path / "out", "leakage=drop", last=3) == 3
    assert run(images, tmp_path / "out", "leakage=drop") == EVERYTHING - 1 - 8
    assert checksums(tmp_path / "out") == checksums(tmp_path / "whole")


def test_a_changed_image_is_compared_again(tmp_path, images):
    """The copy that the first pass found is no copy any more."""
    run(images, tmp_path / "out", "leakage=drop", last=EVERYTHING + 12)
    Image.fromarray(noise(np.random.default_rng(1), 150, 200, 3)).save(images / "folder" / "train2.png")
    assert run(images, tmp_path / "out", "leakage=drop") == EVERYTHING
    run(images, tmp_path / "whole", "leakage=drop")
    assert checksums(tmp_path / "out") == checksums(tmp_path / "whole")


def test_bad_input_after_an_interruption_leaves_nothing(tmp_path, images):
    run(images, tmp_path / "out", last=29)
    (images / "folder" / "test3.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"test3.png: not a readable image"):
        run(images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_preparations_do_not_share_a_folder(tmp_path, images):
    stage = tmp_path / "out" / ".partial"
    stage.mkdir(parents=True)
    with (stage / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"out=.* is in use by another preparation: wait, or choose another out"):
            run(images, tmp_path / "out")
    assert run(images, tmp_path / "out") == EVERYTHING and not stage.exists()


SLOW = """
import sys, time
from toy_data import compose_config
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows import parquet_files
parquet_files.GROUP_ROWS = 4
def track(items, text, total):
    for item in items:
        time.sleep(0.2)
        yield item
prepare(compose_config(*sys.argv[1:]), None, track)
"""


def test_it_may_be_terminated_and_killed(tmp_path, images):
    """By SIGTERM after a shard, then by SIGKILL after another one."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW, *SETTINGS, f"data_root={images}", f"out={out}"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'toys'}"}
    for shards, number in enumerate((signal.SIGTERM, signal.SIGKILL), 1):
        process = subprocess.Popen(command, env=environment)
        while process.poll() is None and lines(out) <= shards:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait() == -number
    assert run(images, out) <= EVERYTHING - 16
    run(images, tmp_path / "whole")
    assert checksums(out) == checksums(tmp_path / "whole")


def lines(out):
    """Lines of the journal: its key, and one per finished shard."""
    file = out / ".partial" / "journal.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0
