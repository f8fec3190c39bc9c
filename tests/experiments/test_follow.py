"""Runs the stages of cells as jobs, which are real processes of this machine."""

import json
import signal
import threading
from pathlib import Path

import pytest
from local_jobs import LocalJobs, cell, stage, times, write_toy

from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments import follow
from vrft_aug.experiments.follow import Follower
from vrft_aug.experiments.job_folder import JobFolder
from vrft_aug.experiments.jobs import Job


@pytest.fixture
def root(tmp_path):
    write_toy(tmp_path)
    return tmp_path


@pytest.fixture
def machine(root):
    machine = LocalJobs(root)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    yield machine
    signal.signal(signal.SIGINT, before)
    (root / "gate").touch()  # so that no job of a failed test waits for ever


def run(machine, work, limit: int = 4, said=None, filled=None) -> list[str]:
    folder = JobFolder(machine.root / "jobs")
    return Follower(machine, folder, limit, (said if said is not None else []).append, filled).run(work)


def two_cells(root, **options):
    """Two cells that share their rows."""
    rows = stage(root, "rows", **options)
    return [(cell(name), [rows, stage(root, name, rows)]) for name in ("a", "b")]


def interrupt_after(machine, file) -> threading.Thread:
    """Ctrl-C as soon as a file exists."""

    def wait() -> None:
        machine.wait_for(file)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_cells_wait_for_what_they_share_and_the_same_command_sends_nothing_more(root, machine):
    assert run(machine, two_cells(root)) == []
    assert times(root, "rows", "a", "b") == [1, 1, 1]
    assert run(machine, two_cells(root)) == []
    assert len(machine.sent) == 3 and sorted(path.suffix for path in (root / "jobs").iterdir()) == [".txt"] * 3


@pytest.mark.parametrize("limit", [1, 2])
def test_as_many_jobs_run_at_once_as_allowed_and_no_more(root, machine, limit):
    work = [(cell(name), [stage(root, name, gate=root / "gate")]) for name in "abcde"]

    def open_gate() -> None:
        for name in "ab"[:limit]:
            machine.wait_for(root / name / "ran")
        (root / "gate").touch()

    opener = threading.Thread(target=open_gate)
    opener.start()
    assert run(machine, work, limit) == []
    opener.join()
    assert times(root, *"abcde") == [1] * 5 and machine.most == limit


def test_the_table_is_filled_as_cells_end(root, machine):
    work = [(cell(name), [stage(root, name)]) for name in "abc"]
    filled = []
    assert run(machine, work, 1, filled=lambda done: filled.append([cell.experiment for cell, _ in done])) == []
    assert filled == [["a"], ["a", "b"]]  # the caller fills it after the last one


def test_a_failed_job_is_reported_with_its_output_and_the_others_go_on(root, machine):
    bad = stage(root, "bad", status=3)
    work = [(cell("x"), [bad, stage(root, "x", bad)]), (cell("y"), [bad, stage(root, "y", bad)]), *two_cells(root)]
    first, second = run(machine, work, said=(said := []))
    assert first.startswith("tiny/toy-all/x: bad failed: job ")
    log = first.partition("output ")[2]
    assert Path(log).read_text() == "started\n" and any(line.startswith("failed bad") and log in line for line in said)
    assert second == "tiny/toy-all/y: not run, since its stage bad failed in tiny/toy-all/x"
    assert times(root, "x", "y", "a", "b") == [0, 0, 1, 1]
    assert len(run(machine, work)) == 2
    assert times(root, "bad", "x", "a", "b") == [2, 0, 1, 1]


def test_a_killed_job_fails_and_the_same_command_finishes_what_is_missing(root, machine):
    long = stage(root, "long", gate=root / "gate")
    work = [*two_cells(root), (cell("long"), [long])]

    def kill() -> None:
        machine.wait_for(root / "long" / "ran")
        note = root / "jobs" / f"{Job(long).name}.json"
        machine.wait_for(note)  # it is written a little later than the process starts
        machine.kill(json.loads(note.read_text())["number"])

    killer = threading.Thread(target=kill)
    killer.start()
    (failed,) = run(machine, work)
    killer.join()
    assert failed.startswith("tiny/toy-all/long: long failed: job ")
    (root / "gate").touch()
    assert run(machine, work) == []
    assert times(root, "rows", "a", "b", "long") == [1, 1, 1, 2]


def test_after_ctrl_c_the_jobs_go_on_and_the_same_command_follows_them(root, machine):
    work = two_cells(root, gate=root / "gate")
    thread = interrupt_after(machine, root / "rows" / "ran")
    with pytest.raises(KeyboardInterrupt):
        run(machine, work, said=(said := []))
    thread.join()
    assert said[-1].startswith("1 jobs go on. The same command follows them again") and "kill " in said[-1]
    assert times(root, "rows", "a") == [1, 0]
    opener = threading.Timer(0.2, (root / "gate").touch)
    opener.start()
    assert run(machine, work, said=said) == []
    assert times(root, "rows", "a", "b") == [1, 1, 1] and "2 jobs to send, 1 followed again" in said[-6]


def test_a_job_that_ended_while_nobody_followed_counts(root, machine):
    work = two_cells(root, gate=root / "gate")
    thread = interrupt_after(machine, root / "rows" / "ran")
    with pytest.raises(KeyboardInterrupt):
        run(machine, work)
    thread.join()
    (root / "gate").touch()
    machine.wait_for(root / "rows" / "result")
    assert run(machine, work) == []
    assert times(root, "rows", "a", "b") == [1, 1, 1]


@pytest.mark.parametrize("changed", ["rows", "a"])
def test_a_job_that_runs_with_other_settings_is_refused(root, machine, changed):
    rows = stage(root, "rows")
    work = [(cell("a"), [rows, stage(root, "a", rows, gate=root / "gate")])]
    thread = interrupt_after(machine, root / "a" / "ran")
    with pytest.raises(KeyboardInterrupt):
        run(machine, work)
    thread.join()
    if changed == "rows":
        rows = stage(root, "rows", seed=1)
    other = [(cell("a"), [rows, stage(root, "a", rows, gate=root / "gate", **({"seed": 1} if changed == "a" else {}))])]
    with pytest.raises(InputError, match=r"a: the job \d+ still runs there with other settings: wait .* kill \d+"):
        run(machine, other)


def test_a_cluster_that_is_silent_for_a_while_is_asked_again_and_then_given_up(root, machine, monkeypatch):
    monkeypatch.setattr(follow, "PATIENCE", 5)
    looks, states = [], machine.states

    def busy(ids):
        looks.append(ids)
        machine.silent = len(looks) in (1, 2, 3)
        return states(ids)

    monkeypatch.setattr(machine, "states", busy)
    assert run(machine, two_cells(root)) == []
    machine.silent = True
    monkeypatch.setattr(machine, "states", states)
    with pytest.raises(RunFailed, match="does not answer"):
        run(machine, [(cell("c"), [stage(root, "c")])], said=(said := []))
    assert said[-1].startswith("1 jobs go on")


def test_a_job_that_the_cluster_no_longer_knows_has_failed(root, machine, monkeypatch):
    monkeypatch.setattr(follow, "PATIENCE", 5)
    monkeypatch.setattr(machine, "states", lambda ids: {})
    (failed,) = run(machine, [(cell("c"), [stage(root, "c")])])
    assert failed.startswith("tiny/toy-all/c: c failed: job ")


def test_a_job_whose_result_is_not_visible_here_has_failed(root, machine, monkeypatch):
    """The job ran on a node with a folder of its own under the same name."""
    machine.submit = lambda name, stage, log: LocalJobs.submit(machine, name, stage, root / "elsewhere.txt")
    lost = stage(root, "c")
    hidden = type(lost)(lost.name, lost.recipe, (*lost.overrides[:-1], f"out={root / 'other'}"), lost.out)
    (failed,) = run(machine, [(cell("c"), [hidden])])
    assert "(there is none: do all nodes share that folder?)" in failed
