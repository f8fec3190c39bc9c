"""Checks which stages become jobs, what each one waits for, and how jobs are named."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from local_jobs import cell, stage
from repository import CONF

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.compositions import Compositions, compose
from vrft_aug.experiments.jobs import Job, jobs_of
from vrft_aug.experiments.stages import Plan, Stage


def nothing(_: Stage) -> bool:
    return False


@pytest.fixture(scope="module")
def plan():
    with initialize_config_dir(str(CONF), version_base=None):
        yield Plan(Path("runs"), Compositions(compose), ("hardware=cpu", "data_root=data"), (), "paper")


def waits(plan: Plan, *experiments: str, is_done=nothing, policy: str = "tiny") -> dict[str, list[str]]:
    """Folder of each job's stage -> the folders for which it waits, below <policy>/<data set>-<shots>."""
    cells = [Cell(name, "ham10000", 10, policy) for name in experiments]
    found = jobs_of([(one, plan.stages(one)) for one in cells], is_done)
    short = {job.stage: str(job.stage.out).removeprefix(f"runs/{policy}/ham10000-10/") for job in found}
    return {short[job.stage]: [short[one] for one in job.after] for job in found}


def test_a_training_waits_for_its_rows_and_the_test_for_rows_and_policy(plan):
    assert waits(plan, "v_sft_pa_pi") == {
        "rows/localize": [],
        "v_sft_pa_pi/train": ["rows/localize"],
        "rows/names": [],
        "v_sft_pa_pi/test": ["v_sft_pa_pi/train", "rows/names"],
    }


def test_what_cells_share_is_one_job_for_which_all_of_them_wait(plan):
    found = waits(plan, "zero_shot", "v_rft_pa_pi", "v_rft_pa_pi_v_rft", "v_rft_pa_pi_knowledge")
    assert found["zero_shot/test"] == ["rows/names"]
    assert found["v_rft_pa_pi_v_rft/fine_tune"] == ["v_rft_pa_pi/train", "rows/names"]
    assert found["v_rft_pa_pi_knowledge/test"] == ["v_rft_pa_pi/train", "rows/knowledge"]
    assert [name for name in found if name.endswith("/train")] == ["v_rft_pa_pi/train"]


def test_a_warm_start_comes_before_every_training_and_test(plan):
    warm = replace(plan, shared=(*plan.shared, "policy.warm_start=warm_start"))
    found = waits(warm, "v_rft")
    assert found["warm_start/names"] == ["rows/names-warm_start"]
    assert found["v_rft/train"] == ["warm_start/names", "rows/names"]


def test_what_is_done_is_no_job_and_nobody_waits_for_it(plan):
    found = waits(plan, "v_rft", "zero_shot", is_done=lambda one: one.recipe == "prepare")
    assert found == {"v_rft/train": [], "v_rft/test": ["v_rft/train"], "zero_shot/test": []}


def test_what_reads_something_new_runs_again(plan):
    found = waits(plan, "v_rft", "zero_shot", is_done=lambda one: one.name != "train")
    assert found == {"v_rft/train": [], "v_rft/test": ["v_rft/train"]}


def test_a_name_is_that_of_the_folder_whatever_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = stage(Path("runs/tiny/heel-10/v_rft"), "train")
    name = Job(one).name
    assert re.fullmatch(r"tiny-heel-10-v_rft-train-[0-9a-f]{8}", name)
    assert Job(stage(tmp_path / "runs/tiny/heel-10/v_rft", "train", seed=3)).name == name
    assert Job(stage(Path("other/tiny/heel-10/v_rft"), "train")).name != name
    assert re.fullmatch(r"[\w.-]{1,90}", Job(stage(Path("a b/ü[1]"), "x" * 200)).name, re.ASCII)


def test_cells_with_equal_stages_make_each_job_once(tmp_path):
    rows = stage(tmp_path, "rows")
    work = [(cell(name), [rows, stage(tmp_path, name, rows)]) for name in ("a", "b")]
    assert jobs_of(work, nothing) == [Job(rows), Job(work[0][1][1], (rows,)), Job(work[1][1][1], (rows,))]
