"""Checks that every choice of conf/ composes, that verl knows every key, and that the defaults are the paper's."""

import functools
from dataclasses import fields
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from repository import CONF, choices, composed

from vrft_aug.data.settings import Policy

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

OURS = ("seed", "shots", "data_root", "parquet", "allow_unverified", "partial", "out", "warn", "keep", "method")
OURS += ("experiment_name", "objective_name", "policy_name", "variant_name", "task_seed", "difficulty", "group_weight")
OURS += ("freeze", "rollouts")
GROUPS = ("dataset", "prompt", "objective", "schedule", "policy", "hardware")
SCHEMA = {"grpo": "ppo_trainer", "sft": "sft_trainer_engine"}
DATACLASS_FIELDS = {  # of verl's RolloutConfig and AgentLoopConfig, not in its YAML
    "actor_rollout_ref.rollout.enable_sleep_mode",
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
}
OF_OUR_CLASSES = {"data.balanced", "data.seed"}  # read by engine/verl/datasets.py
OF_OUR_CLASSES |= {f"{engine}.{key}" for key in ("freeze", "vllm_sleeps")  # of engine/verl/engine_config.py
                   for engine in ("engine", "actor_rollout_ref.actor.fsdp_config", "actor_rollout_ref.ref.fsdp_config")}
# keys that verl reads with `.get` or hands on as they are, so that its own YAML does not list them
OPEN = ("override_config.", "mixed_precision.", "engine_kwargs.vllm.", "ray_kwargs.ray_init.", "mm_processor_kwargs.")


def keys(tree: object, prefix: str = "") -> set[str]:
    if not isinstance(tree, dict) or not tree:
        return {prefix.rstrip(".")}
    return set().union(*(keys(value, f"{prefix}{key}.") for key, value in tree.items()))


@functools.cache
def keys_of(root: str, *overrides: str) -> frozenset[str]:
    return frozenset(keys(OmegaConf.to_container(composed(root, *overrides))))


def parents(key: str) -> set[str]:
    """The names of the mappings in which a key is: `a.b.c` is in `a` and in `a.b`."""
    parts = key.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts))}


@pytest.fixture(scope="module")
def verl_keys() -> dict[str, set[str]]:
    import verl.trainer.config

    folder = str(Path(verl.trainer.config.__file__).parent)
    with initialize_config_dir(folder, version_base=None):
        return {name: keys(OmegaConf.to_container(compose(name), resolve=False)) for name in SCHEMA.values()}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("root", ["prepare", "sft", "grpo", "evaluate", "probe"])
def test_every_choice_of_every_group_composes(root, group):
    for choice in choices(group):
        config = composed(root, f"{group}={choice}")
        assert config[group] is not None


@pytest.mark.parametrize("variant", choices("variant"))
def test_a_variant_sets_keys_that_verl_has(variant):
    assert keys_of("grpo", f"variant={variant}") == keys_of("grpo")


def unknown_to_verl(found: frozenset[str], known: set[str]) -> set[str]:
    """Keys that are neither verl's nor handed on by it nor ours by their name."""
    foreign = {key for key in found - known if not any(part in key for part in OPEN)}
    mappings = set().union(*map(parents, known))  # verl leaves some empty, for us to fill
    unknown = {key for key in foreign if key not in mappings and not parents(key) & known}
    return unknown - DATACLASS_FIELDS - OF_OUR_CLASSES


def ours(key: str) -> bool:
    return key.split(".")[0] in (*OURS, *GROUPS)


@pytest.mark.parametrize("hardware", choices("hardware"))
@pytest.mark.parametrize("root", SCHEMA)
def test_verl_knows_every_key(root, hardware, verl_keys):
    unknown = unknown_to_verl(keys_of(root, f"hardware={hardware}"), verl_keys[SCHEMA[root]])
    assert {key for key in unknown if not ours(key)} == set()


def stray_keys(found: frozenset[str], root: str, known: set[str], hardware: str = "cpu") -> set[str]:
    """Keys that an experiment or a preset adds, and that neither verl nor any recipe of ours has: its typing errors."""
    recipes = [keys_of(name, f"hardware={hardware}") for name in ("prepare", "evaluate", root)]
    unknown = unknown_to_verl(found, known).difference(*recipes)
    return {key for key in unknown if not key.startswith(("objective.", "prompt."))}  # of the groups it chose


@functools.cache
def node(group: str, name: str) -> DictConfig:
    return composed("prepare", f"{group}={name}")[group]


@functools.cache
def unresolved(root: str, experiment: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(root, [f"experiment={experiment}"], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        del config.hydra
    return config


@pytest.mark.parametrize("hardware", choices("hardware"))
@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_on_every_machine(experiment, hardware, verl_keys):
    """The group is replaced in one composed config, as Hydra merges it; composing them all would take minutes."""
    root = composed("grpo", f"experiment={experiment}").method.train or "grpo"
    config = unresolved(root, experiment).copy()
    config.hardware = node("hardware", hardware).copy()
    OmegaConf.resolve(config)
    found = frozenset(keys(OmegaConf.to_container(config)))
    assert stray_keys(found, root, verl_keys[SCHEMA[root]], hardware) == set()
    if root == "grpo":
        assert config.reward.reward_manager.name == "TaskRewardManager"
        assert config.actor_rollout_ref.actor.ppo_mini_batch_size <= config.data.train_batch_size


@pytest.mark.parametrize("dataset", choices("dataset"))
def test_every_data_set_fits_into_a_config(dataset):
    config = unresolved("grpo", "v_rft").copy()
    config.dataset = node("dataset", dataset).copy()
    assert OmegaConf.to_container(config.dataset, resolve=True)["classes"]


@pytest.mark.parametrize("root", SCHEMA)
@pytest.mark.parametrize("preset", choices("preset"))
def test_every_preset_sets_keys_that_exist(preset, root, verl_keys):
    assert stray_keys(keys_of(root, f"preset={preset}"), root, verl_keys[SCHEMA[root]]) == set()
    for other in ("prepare", "evaluate", "probe"):
        assert composed(other, f"preset={preset}").policy == composed(other).policy


def test_the_schedule_is_the_policys_unless_somebody_chooses_another():
    assert composed("grpo", "policy=tiny").schedule.batch_size == 16
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
    one, other = (composed("grpo", f"dataset={name}") for name in (dataset, "phantom"))
    limits = one.actor_rollout_ref.rollout.engine_kwargs.vllm.limit_mm_per_prompt
    assert limits.image == one.dataset.get("images", 1)
    limits.image = 1  # the phantom's
    changed = {key for key in one if one[key] != other[key]}
    assert changed <= {"dataset", "parquet", "data"}  # data: the parquet's path


@pytest.mark.parametrize("hardware", choices("hardware"))
def test_verls_own_classes_take_the_config(hardware):
    from verl.utils.config import omega_conf_to_dataclass

    config = composed("grpo", f"hardware={hardware}", "hardware.engine=null")
    for part in (config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.algorithm):
        assert omega_conf_to_dataclass(part) is not None


@pytest.mark.parametrize("slip", ["trainer.total_training_step", "validatio", "method.trai", "hardware.lora_rnk"])
def test_a_typo_in_an_experiment_is_noticed(slip, verl_keys):
    found = keys_of("grpo", "experiment=v_rft", f"+{slip}=3")
    assert stray_keys(found, "grpo", verl_keys["ppo_trainer"]) == {slip}


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
