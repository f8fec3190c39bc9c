"""Checks that every choice of conf/ composes, that verl knows every key, and that the defaults are the paper's."""

import functools
from dataclasses import fields
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from repository import choices, composed

from vrft_aug.data.settings import Policy

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

OURS = ("seed", "shots", "data_root", "parquet", "allow_unverified", "partial", "out", "warn", "keep", "method")
OURS += ("experiment_name", "objective_name", "policy_name")
GROUPS = ("dataset", "prompt", "objective", "schedule", "policy", "hardware")
SCHEMA = {"grpo": "ppo_trainer", "sft": "sft_trainer_engine"}
DATACLASS_FIELDS = {  # of verl's RolloutConfig and AgentLoopConfig, not in its YAML
    "actor_rollout_ref.rollout.enable_sleep_mode",
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
}
# keys that verl reads with `.get` or hands on as they are, so that its own YAML does not list them
OPEN = ("override_config.", "mixed_precision.", "engine_kwargs.vllm.", "ray_kwargs.ray_init.", "mm_processor_kwargs.")


def keys(tree: object, prefix: str = "") -> set[str]:
    if not isinstance(tree, dict) or not tree:
        return {prefix.rstrip(".")}
    return set().union(*(keys(value, f"{prefix}{key}.") for key, value in tree.items()))


@pytest.fixture(scope="module")
def verl_keys() -> dict[str, set[str]]:
    import verl.trainer.config

    folder = str(Path(verl.trainer.config.__file__).parent)
    with initialize_config_dir(folder, version_base=None):
        return {name: keys(OmegaConf.to_container(compose(name), resolve=False)) for name in SCHEMA.values()}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("root", ["prepare", "sft", "grpo", "evaluate"])
def test_every_choice_of_every_group_composes(root, group):
    for choice in choices(group):
        config = composed(root, f"{group}={choice}")
        assert config[group] is not None


def unknown_to_verl(root: str, known: set[str], *overrides: str) -> set[str]:
    """Keys of the composed config that are neither verl's nor handed on by it nor ours by their name."""
    found = keys(OmegaConf.to_container(composed(root, *overrides)))
    foreign = {key for key in found - known if not any(part in key for part in OPEN)}
    under = {key for key in foreign if any(f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.") for k in known)}
    return foreign - under - DATACLASS_FIELDS


def ours(key: str) -> bool:
    return key.split(".")[0] in (*OURS, *GROUPS)


@pytest.mark.parametrize("hardware", choices("hardware"))
@pytest.mark.parametrize("root", SCHEMA)
def test_verl_knows_every_key(root, hardware, verl_keys):
    unknown = unknown_to_verl(root, verl_keys[SCHEMA[root]], f"hardware={hardware}")
    assert {key for key in unknown if not ours(key)} == set()


def stray_keys(root: str, known: set[str], *overrides: str) -> set[str]:
    """Keys that an experiment or a preset adds, and that neither verl nor any recipe of ours has: its typing errors."""
    profile = [override for override in overrides if override.startswith("hardware=")]
    recipes = [keys(OmegaConf.to_container(composed(name, *profile))) for name in ("prepare", "evaluate", root)]
    unknown = unknown_to_verl(root, known, *overrides) - set().union(*recipes)
    return {key for key in unknown if not key.startswith(("objective.", "prompt."))}  # of the groups it chose


@functools.cache
def dataset_node(name: str) -> DictConfig:
    return composed("prepare", f"dataset={name}").dataset


@pytest.mark.parametrize("hardware", choices("hardware"))
@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_on_every_machine_and_data_set(experiment, hardware, verl_keys):
    root = composed("grpo", f"experiment={experiment}").method.train or "grpo"
    chosen = [f"experiment={experiment}", f"hardware={hardware}"]
    assert stray_keys(root, verl_keys[SCHEMA[root]], *chosen) == set()
    config = composed(root, *chosen).copy()
    if root == "grpo":
        assert config.reward.reward_manager.name == "TaskRewardManager"
        assert config.actor_rollout_ref.actor.ppo_mini_batch_size <= config.data.train_batch_size
    for dataset in choices("dataset"):  # as Hydra merges the group; composing 900 times would take minutes
        config.dataset = dataset_node(dataset).copy()
        assert OmegaConf.to_container(config.dataset, resolve=True)["classes"]


@pytest.mark.parametrize("root", SCHEMA)
@pytest.mark.parametrize("preset", choices("preset"))
def test_every_preset_sets_keys_that_exist(preset, root, verl_keys):
    assert stray_keys(root, verl_keys[SCHEMA[root]], f"preset={preset}") == set()
    for other in ("prepare", "evaluate"):
        assert composed(other, f"preset={preset}").policy.warm_start == "warm_start"


def test_the_schedule_is_the_policys_unless_somebody_chooses_another():
    assert composed("grpo", "policy=tiny").schedule.batch_size == 32
    assert composed("grpo", "policy=qwen2_5_vl_3b").schedule == composed("grpo", "schedule=paper").schedule
    assert composed("grpo", "policy=tiny", "schedule=paper").schedule.batch_size == 256
    assert composed("grpo", "schedule.batch_size=8").data.train_batch_size == 8
    for policy in ("tiny", "qwen2_5_vl_3b"):
        schedule = composed("sft", f"policy={policy}", "experiment=v_sft_pa_pi").schedule
        assert (schedule.steps, schedule.epochs, schedule.batch_size) == (None, 2, 4)
    assert composed("sft", "experiment=v_sft", "preset=warm_start").trainer.total_training_steps == 40


@pytest.mark.parametrize("policy", choices("policy"))
def test_a_policy_states_facts_about_a_model_alone(policy):
    assert set(composed("grpo", f"policy={policy}").policy) == {field.name for field in fields(Policy)}


@pytest.mark.parametrize("dataset", choices("dataset"))
def test_a_data_set_changes_nothing_but_itself(dataset):
    one, other = (composed("grpo", "experiment=v_rft_pa_p", f"dataset={name}") for name in (dataset, "phantom"))
    changed = {key for key in one if one[key] != other[key]}
    assert changed <= {"dataset", "parquet", "data"}  # data: the parquet's path


@pytest.mark.parametrize("hardware", choices("hardware"))
def test_verls_own_classes_take_the_config(hardware):
    from verl.utils.config import omega_conf_to_dataclass

    config = composed("grpo", f"hardware={hardware}", "hardware.engine=null")
    for part in (config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.algorithm):
        assert omega_conf_to_dataclass(part) is not None


@pytest.mark.parametrize("slip", ["trainer.total_training_step", "label_nois", "method.trai", "hardware.lora_rnk"])
def test_a_typo_in_an_experiment_is_noticed(slip, verl_keys):
    assert stray_keys("grpo", verl_keys["ppo_trainer"], "experiment=v_rft", f"+{slip}=3") == {slip}


def test_an_unknown_experiment_is_refused():
    from hydra.errors import MissingConfigException

    with pytest.raises(MissingConfigException, match="v_rft_pa_p"):
        composed("grpo", "experiment=v_rtf")


def test_a_typo_on_the_command_line_is_refused():
    from hydra.errors import ConfigCompositionException

    with pytest.raises(ConfigCompositionException, match="total_training_step"):
        composed("grpo", "trainer.total_training_step=3")


@pytest.mark.parametrize("objective", choices("objective"))
def test_the_composed_objective_is_the_one_that_its_name_gives(objective):
    from vrft_aug.rewards import compose as compose_objective

    config = composed("grpo", f"objective={objective}")
    assert config.objective_name == objective
    assert compose_objective(OmegaConf.to_container(config.objective)) == compose_objective(objective)


def test_the_papers_settings():
    config = composed("grpo", "policy=qwen2_5_vl_3b", "hardware=gpu_2x80g")
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (rollout.n, rollout.temperature) == (8, 0.9)
    assert (actor.use_kl_loss, actor.kl_loss_coef, config.algorithm.use_kl_in_reward) == (True, 0.04, False)
    assert (config.trainer.total_training_steps, config.data.train_batch_size) == (120, 256)
    assert actor.ppo_mini_batch_size == 256
    assert (actor.optim.optimizer, actor.optim.lr, config.actor_rollout_ref.model.lora_rank) == ("AdamW", 1e-6, 0)
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (1, 2)
    assert config.algorithm.adv_estimator == "grpo"
    assert config.actor_rollout_ref.model.path == "Qwen/Qwen2.5-VL-3B-Instruct"


def test_the_reward_manager_is_ours():
    from verl.trainer.ppo.reward import resolve_reward_manager_cls

    assert resolve_reward_manager_cls(composed("grpo")).__name__ == "TaskRewardManager"
