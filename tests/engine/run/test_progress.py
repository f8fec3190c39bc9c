"""The metrics that outlive a run: each step's once, whatever ended the run in between."""

import json
from pathlib import Path

import pytest

from vrft_aug.engine.run.progress import MetricsFollower, keep_steps_up_to, recover_steps
from vrft_aug.engine.training.checkpoints import read_steps


def line(step: int, value: float = 0.0) -> str:
    return json.dumps({"step": step, "data": {"reward": value}}) + "\n"


@pytest.fixture
def kept(tmp_path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_lines_are_shown_and_kept_with_those_of_an_earlier_run(tmp_path, kept):
    kept.write_text(line(1))
    said = []
    with MetricsFollower(tmp_path, 3, {"reward": "reward"}, said.append) as follower:
        follower.source.write_text(line(2, 0.5) + line(3, 0.25)[:-3])
    assert kept.read_text() == line(1) + line(2, 0.5) and not follower.source.exists()
    assert said == ["step 2/3  reward 0.500"]


def test_steps_after_a_resumption_are_dropped(tmp_path, kept):
    kept.write_text("".join(map(line, range(4))))
    keep_steps_up_to(tmp_path, 2)
    assert sorted(read_steps(kept)) == [0, 1, 2]


def test_what_verl_wrote_after_the_kill_of_its_follower_is_recovered_once(tmp_path, kept):
    """verl's workers outlive the driver by some moments; its own file begins at this run's first step."""
    kept.write_text(line(1) + line(2) + line(3))
    (tmp_path / ".metrics.jsonl").write_text(line(2) + line(3) + line(4) + line(5)[:-3])
    recover_steps(tmp_path)
    assert kept.read_text() == line(1) + line(2) + line(3) + line(4)


def test_a_torn_line_is_no_step(tmp_path, kept):
    kept.write_text(line(1) + line(2)[:-3])
    recover_steps(tmp_path)
    assert kept.read_text() == line(1)
    (tmp_path / "empty").mkdir()
    recover_steps(tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir())
