"""Every choice composes; verl knows every key; the paper's settings are the defaults."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

CONF = Path(__file__).resolve().parents[1] / "conf"
OURS = ("seed", "shots", "data_root", "parquet", "objective_name", "allow_unverified", "partial", "out", "warn")
GROUPS = ("dataset", "prompt", "objective", "policy", "hardware")
SCHEMA = {"grpo": "ppo_trainer", "sft": "sft_trainer_engine"}
PREPARE = {"label_noise"}
DATACLASS_FIELDS = {"actor_rollout_ref.rollout.enable_sleep_mode"}  # of verl's RolloutConfig, not in its YAML
# keys that verl reads with `.get` or hands on as they are, so that its own YAML does not list them
OPEN = ("override_config.", "mixed_precision.", "engine_kwargs.vllm.", "ray_kwargs.ray_init.", "mm_processor_kwargs.")


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(root: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(root, list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        del config.hydra
        OmegaConf.resolve(config)
        return config


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
    found = keys(OmegaConf.to_container(composed(root, *overrides)))
    foreign = {key for key in found - known if key.split(".")[0] not in (*OURS, *GROUPS)}
    foreign -= {key for key in foreign if any(part in key for part in OPEN)}
    under = {key for key in foreign if any(f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.") for k in known)}
    return foreign - under - DATACLASS_FIELDS


@pytest.mark.parametrize("hardware", choices("hardware"))
@pytest.mark.parametrize("root", SCHEMA)
def test_verl_knows_every_key(root, hardware, verl_keys):
    assert unknown_to_verl(root, verl_keys[SCHEMA[root]], f"hardware={hardware}") == set()


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_verl_knows_every_key_of_an_experiment(experiment, verl_keys):
    """In the recipe that it is for: its first comment names no other key than that recipe's and prepare.py's."""
    unknown = {root: unknown_to_verl(root, verl_keys[SCHEMA[root]], f"experiment={experiment}") for root in SCHEMA}
    assert not all(keys - PREPARE for keys in unknown.values()), unknown


@pytest.mark.parametrize("hardware", choices("hardware"))
def test_verls_own_classes_take_the_config(hardware):
    from verl.utils.config import omega_conf_to_dataclass

    config = composed("grpo", f"hardware={hardware}", "hardware.engine=null")
    for part in (config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.algorithm):
        assert omega_conf_to_dataclass(part) is not None


def test_a_typo_in_an_experiment_is_noticed(verl_keys):
    unknown = unknown_to_verl("grpo", verl_keys["ppo_trainer"], "+trainer.total_training_step=3")
    assert unknown == {"trainer.total_training_step"}


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
