"""Checks the stages of cells: what runs, in which order, from which policy."""

from itertools import pairwise
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from repository import CONF, choices

from vrft_aug.errors import InputError
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.compositions import Compositions, compose
from vrft_aug.experiments.run_table import once
from vrft_aug.experiments.stages import Plan, Stage

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

WARM = "policy.warm_start=warm_start"  # as a policy may say it whose weights do not know the form of an answer


@pytest.fixture(scope="module")
def configs():
    with initialize_config_dir(str(CONF), version_base=None):
        yield Compositions(compose)


@pytest.fixture(scope="module")
def plan(configs):
    return Plan(Path("runs"), configs, ("hardware=cpu", "data_root=data"), ("trainer.save_freq=1",), "paper")


@pytest.fixture(scope="module")
def warm(plan):
    """The same, for a policy that needs a warm start."""
    return Plan(plan.root, plan.configs, (*plan.shared, WARM), plan.training, plan.protocol)


def stages(plan: Plan, experiment: str, policy: str = "tiny", dataset: str = "phantom") -> dict[str, Stage]:
    found = plan.stages(Cell(experiment, dataset, 10, policy))
    return {str(stage.out.relative_to("runs")).removeprefix(f"{policy}/{dataset}-10/"): stage for stage in found}


@pytest.mark.parametrize("policy", ["tiny", "qwen2_5_vl_3b"])
def test_zero_shot_only_tests(policy, plan):
    assert list(stages(plan, "zero_shot", policy)) == ["rows/names", "zero_shot/test"]


def test_a_policy_that_needs_a_warm_start_gets_it_on_rows_of_its_own(warm):
    found = stages(warm, "v_rft_pa_p")
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
    other = stages(plan, "v_rft_pa_pi", "qwen2_5_vl_3b", "ham10000")
    assert found["v_rft_pa_pi/train"] == other["v_rft_pa_pi/train"]  # one training for both
    assert {"experiment=v_rft", "parquet=runs/qwen2_5_vl_3b/ham10000-10/rows/names"} <= set(second.overrides)
    assert any(item.startswith("policy.path=") and "/train/policy" in item for item in second.overrides)


def value(stage: Stage, key: str) -> str | None:
    """The last value of a key in the stage's command, which is the one that counts."""
    found = [item.partition("=")[2] for item in stage.overrides if item.partition("=")[0] == key]
    return found[-1] if found else None


def pipeline(monkeypatch: pytest.MonkeyPatch, name: str, *stages: str) -> None:
    """Let the experiment `name` have these stages."""
    ask = Plan._experiment

    def experiment(self, cell, asked):
        found = ask(self, cell, asked)
        return found._replace(stages=stages, diagnose=None) if asked == name else found

    monkeypatch.setattr(Plan, "_experiment", experiment)


@pytest.mark.parametrize("second", ["v_rft_pa_p_recite_neg", "v_sft_pa_p", "v_sft_pa_pi"])
def test_fine_tuning_reaches_any_experiment_with_its_prompt_objective_and_schedule(second, plan, monkeypatch):
    pipeline(monkeypatch, "v_rft_pa_pi_v_rft", "v_rft_pa_pi", second)
    cell = Cell(second, "ham10000", 10, "tiny")
    alone = plan._trainings(cell, plan._experiment(cell, second))[-1]
    found = stages(plan, "v_rft_pa_pi_v_rft", "qwen2_5_vl_3b", "ham10000")
    further, test = found["v_rft_pa_pi_v_rft/fine_tune"], found["v_rft_pa_pi_v_rft/test"]
    assert (further.recipe, value(further, "experiment")) == (alone.train, second)
    config = plan.configs.get(further.recipe, further.overrides)
    assert (config.prompt.name, config.hydra.runtime.choices.objective) == (alone.prompt, alone.objective)
    assert value(further, "parquet").endswith(f"/rows/{alone.prompt}")
    assert value(further, "policy.path").endswith("/v_rft_pa_pi/train/policy")
    schedule = plan.configs.get(further.recipe, [f"experiment={second}", "policy=qwen2_5_vl_3b"]).schedule
    assert config.schedule == schedule
    tested = plan.configs.get("evaluate", test.overrides)
    prompt = alone.diagnose or alone.prompt
    objective = "accuracy" if prompt != alone.prompt else alone.objective
    assert (tested.prompt.name, tested.hydra.runtime.choices.objective) == (prompt, objective)
    assert value(test, "policy.path").endswith("/v_rft_pa_pi_v_rft/fine_tune/policy")


def test_all_components_end_in_a_test_with_knowledge_and_the_recitation_reward(plan):
    found = stages(plan, "v_rft_pa_pi_pa_p_recite_neg", "qwen2_5_vl_3b", "ham10000")
    folder = "v_rft_pa_pi_pa_p_recite_neg"
    trained, tuned, tested = "v_rft_pa_pi/train", f"{folder}/fine_tune", f"{folder}/test"
    assert list(found) == ["rows/localize", trained, "rows/knowledge", tuned, tested]
    assert value(found[trained], "experiment") == "v_rft_pa_pi"
    config = plan.configs.get("evaluate", found[tested].overrides)
    chosen = config.hydra.runtime.choices
    assert (chosen.experiment, chosen.prompt, chosen.objective) == (folder, "knowledge", "recite_neg")


@pytest.mark.parametrize(("experiment", "prompt"), [("v_rft_pa_pi", "names"), ("v_rft_pa_pi_knowledge", "knowledge")])
def test_localisation_is_diagnosed_with_either_prompt(experiment, prompt, plan):
    test = stages(plan, experiment, "qwen2_5_vl_3b", "ham10000")[f"{experiment}/test"]
    assert (value(test, "prompt"), value(test, "objective")) == (prompt, "accuracy")
    assert value(test, "parquet").endswith(f"/rows/{prompt}")


@pytest.mark.parametrize("objective", ["iou", "iou_tightening", "iou_continuous"])
def test_localisation_may_be_tested_itself(objective, plan):
    experiment = "v_rft_localize" + objective.removeprefix("iou")
    test = stages(plan, experiment, "tiny", "phantom")[f"{experiment}/test"]
    chosen = plan.configs.get("evaluate", test.overrides).hydra.runtime.choices
    assert (chosen.prompt, chosen.objective) == ("localize", objective)


@pytest.mark.parametrize(("second", "why"), [("zero_shot", "zero_shot trains nothing"),
                                             ("v_rft_pa_pi_v_rft", "v_rft_pa_pi_v_rft is itself a pipe")])  # fmt: skip
def test_a_stage_without_one_training_is_refused(second, why, plan, monkeypatch):
    pipeline(monkeypatch, "v_sft_v_rft", "v_rft", second)
    with pytest.raises(InputError, match=f"conf/experiment/v_sft_v_rft.yaml: method.stages: {why}"):
        stages(plan, "v_sft_v_rft")


def test_a_pipeline_with_a_training_of_its_own_is_refused(plan, monkeypatch):
    pipeline(monkeypatch, "v_rft", "v_sft")
    with pytest.raises(InputError, match=r"v_rft.yaml: method.stages: .*no training of its own; leave out train"):
        stages(plan, "v_rft")


def test_three_trainings_follow_each_other(plan):
    found = stages(plan, "v_rft_pretexts_v_rft", dataset="retina")
    folder = "v_rft_pretexts_v_rft"
    assert list(found) == ["rows/restore", "v_rft_pretext/train", "rows/find_sharp", f"{folder}/fine_tune",
                           "rows/names", f"{folder}/fine_tune_2", f"{folder}/test"]  # fmt: skip
    chain = ["v_rft_pretext/train", f"{folder}/fine_tune", f"{folder}/fine_tune_2", f"{folder}/test"]
    for earlier, later in pairwise(chain):
        assert value(found[later], "policy.path") == f"runs/tiny/retina-10/{earlier}/policy"
    assert [value(found[name], "experiment") for name in chain[:3]] == ["v_rft_pretext", "v_rft_find_sharp", "v_rft"]
    assert found[chain[0]] == stages(plan, "v_rft_pretext_v_rft", dataset="retina")[chain[0]]  # one training for both


@pytest.mark.parametrize(("train", "start"), [("grpo", ""), ("sft", "sft_")])
def test_a_mixed_training_reads_the_rows_of_each_prompt(train, start, plan, monkeypatch):
    ask = Plan._experiment
    monkeypatch.setattr(Plan, "_experiment", lambda self, cell, name: ask(self, cell, name)._replace(train=train))
    found = stages(plan, "v_rft_pretexts", dataset="retina")
    folders = ["rows/restore", "rows/find_sharp", "v_rft_pretexts/train", "rows/names", "v_rft_pretexts/test"]
    assert list(found) == folders
    stage, rows = found["v_rft_pretexts/train"], "runs/tiny/retina-10/rows"
    assert stage.reads == (Path(rows, "restore"), Path(rows, "find_sharp"))
    config = plan.configs.get("grpo", stage.overrides)
    for split in ("train", "val"):
        files = [f"{rows}/{prompt}/{start}{split}.parquet" for prompt in ("restore", "find_sharp")]
        assert list(config.data[f"{split}_files"]) == files


@pytest.mark.parametrize("experiment", choices("experiment"))
@pytest.mark.parametrize(("policy", "start"), [("tiny", "warm"), ("tiny", "plan"), ("qwen2_5_vl_3b", "plan")])
def test_a_training_gets_only_experiments_of_its_recipe(experiment, policy, start, request):
    plan = request.getfixturevalue(start)
    for stage in stages(plan, experiment, policy).values():
        if stage.recipe in ("sft", "grpo"):
            config = plan.configs.get(stage.recipe, stage.overrides, apart=["dataset", "shots", "out"])
            chosen = config.hydra.runtime.choices.experiment
            assert config.method.train == (stage.recipe if chosen else None)


def test_the_cells_objective_reaches_training_and_test(plan):
    found = plan.stages(Cell("v_rft", "retina", 10, "qwen2_5_vl_3b", "mfrs"))
    assert ["objective=mfrs" in stage.overrides for stage in found] == [False, True, True]


def test_the_cells_objective_is_that_of_the_diagnosis(plan):
    found = plan.stages(Cell("v_rft_pa_pi_v_rft", "phantom_grade", 10, "qwen2_5_vl_3b", "mfrs"))
    assert {stage.name for stage in found if "objective=mfrs" in stage.overrides} == {"fine_tune", "test"}


def test_a_variant_reaches_trainings_by_grpo_alone_and_has_folders_of_its_own(plan):
    def found(experiment: str) -> dict[str, bool]:
        cell = Cell(experiment, "phantom", 10, "tiny", variant="dapo")
        return {str(stage.out.relative_to("runs/tiny/phantom-10")): "variant=dapo" in stage.overrides
                for stage in plan.stages(cell) if stage.name != "rows"}  # fmt: skip

    assert found("v_rft") == {"v_rft-dapo/train": True, "v_rft-dapo/test": False}
    assert found("v_rft_pa_pi_v_rft") == {"v_rft_pa_pi-dapo/train": True, "v_rft_pa_pi_v_rft-dapo/fine_tune": True,
                                          "v_rft_pa_pi_v_rft-dapo/test": False}  # fmt: skip
    assert found("v_sft_v_rft") == {"v_sft_start/train": False, "v_sft_v_rft-dapo/fine_tune": True,
                                    "v_sft_v_rft-dapo/test": False}  # fmt: skip
    for experiment in ("v_sft", "zero_shot"):
        with pytest.raises(InputError, match=f"variant=dapo is one of GRPO, and {experiment} trains without GRPO"):
            found(experiment)


def starts(plan: Plan, cell: Cell) -> dict[str, str | None]:
    started = Plan(plan.root, plan.configs, plan.shared, (), "full", start=("policy.path=mine",))
    return {f"{stage.name} {value(stage, 'prompt') or ''}".strip(): value(stage, "policy.path")
            for stage in started.stages(cell)}  # fmt: skip


def test_a_given_policy_is_where_a_cell_starts_and_no_later_stage_returns_to_it(plan, warm):
    assert starts(plan, Cell("zero_shot", "phantom", 10, "qwen2_5_vl_3b")) == {"rows names": "mine",
                                                                               "test names": "mine"}  # fmt: skip
    folder = "runs/qwen2_5_vl_3b/phantom-10"
    assert starts(plan, Cell("v_rft_pa_pi_v_rft", "phantom", 10, "qwen2_5_vl_3b")) == {
        "rows localize": "mine", "train": "mine", "rows names": "mine",
        "fine_tune": f"{folder}/v_rft_pa_pi/train/policy",
        "test names": f"{folder}/v_rft_pa_pi_v_rft/fine_tune/policy",
    }  # fmt: skip
    found = starts(warm, Cell("zero_shot", "phantom", 10, "tiny"))
    assert found["warm_start names"] == "mine" and found["test names"].endswith("/warm_start/names/policy")


def test_supervised_training_uses_one_node_of_several(plan):
    several = Plan(plan.root, plan.configs, ("hardware=multi_node", "hardware.nodes=4", WARM), (), "full",
                   sft=("hardware.nodes=1",))  # fmt: skip
    found = several.stages(Cell("v_rft", "phantom", 10, "tiny"))
    assert {stage.recipe for stage in found} == {"prepare", "sft", "grpo", "evaluate"}
    for stage in found:
        config = several.configs.get(stage.recipe, stage.overrides)
        assert config.hardware.nodes == (1 if stage.recipe == "sft" else 4)


def test_every_stage_composes(warm):
    for experiment in ("zero_shot", "v_sft_pa_p", "v_rft_pa_p_recite_neg", "v_rft_pa_pi_v_rft"):
        for stage in stages(warm, experiment).values():
            assert warm.configs.get(stage.recipe, stage.overrides).out == str(stage.out)


def test_a_config_is_made_once_for_stages_that_differ_only_apart(configs):
    one, other = ([f"dataset={name}", "experiment=v_rft"] for name in ("blood", "retina"))
    assert configs.get("grpo", one, apart=["dataset"]) is configs.get("grpo", other, apart=["dataset"])
    assert configs.get("grpo", one).dataset.name == "blood"
    assert configs.get("grpo", other).dataset.name == "retina"


def test_a_seed_reaches_the_draw_the_training_and_the_test_but_not_the_test_split(configs):
    plan = Plan(Path("runs"), configs, ("hardware=cpu", "data_root=data", "seed=0"), (), "paper")
    found = plan.stages(Cell("v_sft", "retina", 10, "qwen2_5_vl_3b", seed=2))
    assert [str(stage.out) for stage in found] == [
        f"runs/qwen2_5_vl_3b/retina-10/seed-2/{name}" for name in ("rows/names", "v_sft/train", "v_sft/test")
    ]
    chosen = [configs.get(stage.recipe, stage.overrides) for stage in found]
    assert [config.seed for config in chosen] == [2, 2, 2] and chosen[0].test_seed == 0
    alone = plan.stages(Cell("v_sft", "retina", 10, "qwen2_5_vl_3b"))
    assert [value(stage, "seed") for stage in alone] == ["0", "0", "0"]


def test_a_cell_without_training_is_run_with_the_first_seed_alone(configs):
    shared = ("hardware=cpu", "data_root=data", "seed=0")

    def seeds(policy: str, *more: str) -> list[tuple[str, int]]:
        plan = Plan(Path("runs"), configs, (*shared, *more), (), "paper")
        cells = [Cell(name, "phantom", 10, policy, seed=seed) for seed in (0, 1) for name in ("zero_shot", "v_sft")]
        work = once([(cell, plan.stages(cell)) for cell in cells], configs)
        return [(cell.experiment, cell.seed) for cell, _ in work]

    every = [("zero_shot", 0), ("v_sft", 0), ("zero_shot", 1), ("v_sft", 1)]
    assert seeds("qwen2_5_vl_3b") == seeds("tiny") == [one for one in every if one != ("zero_shot", 1)]
    assert seeds("tiny", WARM) == every  # its warm start is trained
    assert seeds("qwen2_5_vl_3b", "prompt.class_order=shuffled") == every
    cell = Cell("zero_shot", "phantom", 10, "qwen2_5_vl_3b")
    stages = Plan(Path("runs"), configs, shared, (), "paper").stages(cell)
    assert once([(cell, stages)], configs) == [(cell, stages)]
