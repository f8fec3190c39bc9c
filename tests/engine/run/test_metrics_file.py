"""The metrics that outlive a run: each step once, whatever ended the run."""

import json
import math
from pathlib import Path

import pytest

from vrft_aug.engine.run import metrics_file
from vrft_aug.errors import InputError


def line(step: int, value: float = 0.0) -> str:
    return json.dumps({"step": step, "data": {"reward": value}}) + "\n"


@pytest.fixture
def kept(tmp_path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_the_later_value_counts_and_null_is_no_number(kept):
    assert metrics_file.read_steps(kept) == {}
    kept.write_text(line(1, 0.5) + '{"step": 1, "data": {"reward": 0.75, "loss": null}}\n' + line(2, 1.0))
    steps = metrics_file.read_steps(kept)
    assert (steps[1]["reward"], steps[2]) == (0.75, {"reward": 1.0}) and math.isnan(steps[1]["loss"])


@pytest.mark.parametrize("broken", ["no JSON", "[1]", "7", '{"step": 3}', '{"step": null, "data": {}}',
                                    '{"step": 1, "data": []}'])  # fmt: skip
def test_a_malformed_line_is_named_unless_it_is_the_last(kept, broken):
    kept.write_text(f"{line(1)}{broken}")
    assert metrics_file.read_steps(kept) == {1: {"reward": 0.0}}
    kept.write_text(f"{line(1)}{broken}\n{line(2)}")
    with pytest.raises(InputError, match=r"metrics.jsonl, line 2: not verl's record of a step; delete the line"):
        metrics_file.read_steps(kept)


def test_only_complete_lines_are_taken(tmp_path, kept):
    written = tmp_path / ".metrics.jsonl"
    assert metrics_file.take_new(tmp_path, 0) == b"" and not kept.exists()
    written.write_text(line(1) + line(2)[:-3])
    first = metrics_file.take_new(tmp_path, 0)
    written.write_text(line(1) + line(2))
    second = metrics_file.take_new(tmp_path, len(first))
    assert (first.decode(), second.decode(), kept.read_text()) == (line(1), line(2), line(1) + line(2))


def test_steps_after_a_resumption_are_dropped(tmp_path, kept):
    kept.write_text("".join(map(line, range(4))))
    metrics_file.drop_after(tmp_path, 2)
    assert sorted(metrics_file.read_steps(kept)) == [0, 1, 2]


def test_what_verl_wrote_after_the_kill_of_its_follower_is_recovered_once(tmp_path, kept):
    """verl's workers outlive the driver by some moments; its own file begins at this run's first step."""
    kept.write_text(line(1) + line(2) + line(3))
    (tmp_path / ".metrics.jsonl").write_text(line(2) + line(3) + line(4) + line(5)[:-3])
    metrics_file.recover(tmp_path)
    assert kept.read_text() == line(1) + line(2) + line(3) + line(4)


def test_a_torn_line_is_no_step(tmp_path, kept):
    kept.write_text(line(1) + line(2)[:-3])
    metrics_file.recover(tmp_path)
    assert kept.read_text() == line(1)
    (tmp_path / "empty").mkdir()
    metrics_file.recover(tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir())
