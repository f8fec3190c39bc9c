"""Checks the stages of cells: what runs, in which order, from which policy."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from repository import ROOT

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.plan import cost, lines
from vrft_aug.experiments.stages import Plan, Stage

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")


@pytest.fixture(scope="module")
def plan():
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):

        def composed(root, overrides):
            return compose(root, list(overrides), return_hydra_config=True)

        yield Plan(Path("runs"), composed, ("hardware=cpu", "data_root=data"), ("trainer.save_freq=1",), "paper")


def stages(plan: Plan, experiment: str, policy: str = "tiny", dataset: str = "phantom") -> dict[str, Stage]:
    found = plan.stages(Cell(experiment, dataset, 10, policy))
    return {str(stage.out.relative_to("runs")).removeprefix(f"{policy}/{dataset}-10/"): stage for stage in found}


def test_zero_shot_only_tests(plan):
    assert list(stages(plan, "zero_shot", "qwen2_5_vl_3b")) == ["rows/names", "zero_shot/test"]


def test_the_tiny_policy_starts_warm_from_rows_of_its_own(plan):
    found = stages(plan, "v_rft_pa_p")
    assert list(found) == ["rows/knowledge-warm_start", "warm_start/knowledge", "rows/knowledge", "v_rft_pa_p/train",
                           "v_rft_pa_p/test"]  # fmt: skip
    assert found["v_rft_pa_p/train"].recipe == "grpo"
    assert "policy.path=runs/tiny/phantom-10/warm_start/knowledge/policy" in found["v_rft_pa_p/train"].overrides
    assert "policy.path=runs/tiny/phantom-10/v_rft_pa_p/train/policy" in found["v_rft_pa_p/test"].overrides
    assert "trainer.save_freq=1" in found["v_rft_pa_p/train"].overrides
    assert "trainer.save_freq=1" not in found["warm_start/knowledge"].overrides
    for name in ("rows/knowledge-warm_start", "warm_start/knowledge"):
        assert "preset=warm_start" in found[name].overrides


def test_localisation_is_followed_by_zero_shot_diagnosis(plan):
    found = stages(plan, "v_sft_pa_pi", "qwen2_5_vl_3b", "ham10000")
    assert list(found) == ["rows/localize", "v_sft_pa_pi/train", "rows/names", "v_sft_pa_pi/test"]
    train, test = found["v_sft_pa_pi/train"], found["v_sft_pa_pi/test"]
    assert train.recipe == "sft" and "parquet=runs/qwen2_5_vl_3b/ham10000-10/rows/localize" in train.overrides
    assert {"prompt=names", "objective=accuracy"} <= set(test.overrides)


def test_fine_tuning_goes_on_from_the_localising_policy(plan):
    found = stages(plan, "v_rft_pa_pi_v_rft", "qwen2_5_vl_3b", "ham10000")
    second = found["v_rft_pa_pi_v_rft/fine_tune"]
    assert {"experiment=v_rft", "parquet=runs/qwen2_5_vl_3b/ham10000-10/rows/names"} <= set(second.overrides)
    assert any(item.startswith("policy.path=") and "/train/policy" in item for item in second.overrides)


def test_the_cells_objective_reaches_training_and_test(plan):
    found = plan.stages(Cell("v_rft", "retina", 10, "qwen2_5_vl_3b", "mfrs"))
    assert ["objective=mfrs" in stage.overrides for stage in found] == [False, True, True]


def test_every_stage_composes(plan):
    for experiment in ("zero_shot", "v_sft_pa_p", "v_rft_pa_p_recite_neg", "v_rft_pa_pi_v_rft"):
        for stage in stages(plan, experiment).values():
            assert plan.compose(stage.recipe, list(stage.overrides)).out == str(stage.out)


def test_the_plan_counts_what_cells_share_once(plan):
    cells = [Cell(experiment, "phantom", 10, "tiny") for experiment in ("v_sft", "v_rft")]
    work = [(cell, plan.stages(cell)) for cell in cells]
    text = list(lines(work, plan.compose, {work[0][1][0]}))
    assert text[-1] == "2 cells, 7 stages: 1 done, 6 to run"
    assert sum("shared" in line for line in text) == 2


def test_the_papers_cost(plan):
    cell = Cell("v_rft", "blood", 256, "qwen2_5_vl_3b")
    train = plan.stages(cell)[1]
    line = cost(plan.compose("grpo", [*train.overrides, "hardware=gpu_2x80g"]), cell)
    assert line.startswith("120 steps, 2048 images, 245,760 rollouts, up to 755.0 M tokens, about ")
    assert line.endswith("of 80 GiB per device")
