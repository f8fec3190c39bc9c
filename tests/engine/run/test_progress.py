"""What a person sees of a training, and what is kept of its metrics."""

import json
from pathlib import Path

import pytest

from vrft_aug.engine.run.progress import MetricsFollower


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


def test_each_metric_is_warned_of_once(tmp_path):
    said = []
    with MetricsFollower(tmp_path, 3, {}, said.append, lambda metrics: ["reward is 0"]) as follower:
        follower.source.write_text(line(1) + line(2))
    assert said == ["step 1/3", "warning: reward is 0", said[2]] and said[2].startswith("step 2/3")
