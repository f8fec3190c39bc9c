"""Trains a policy by GRPO (V-RFT), with verl's V1 trainer on Ray.

docs/one-step.md follows one step from here to the line that computes the advantage.
"""

import importlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from vrft_aug.engine.imports import uncollected
from vrft_aug.engine.run import preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.run.watch import STOP, run_watched
from vrft_aug.engine.training import common, difficulty, group_filter, verl_settings
from vrft_aug.engine.training.checkpoints import Criterion
from vrft_aug.engine.training.group_weights import GroupWeights
from vrft_aug.engine.training.rollout_rule import RolloutRule
from vrft_aug.engine.verl import ray_cluster
from vrft_aug.engine.verl.task_runner import TaskRunner
from vrft_aug.rewards import compose, diagnostics
from vrft_aug.rewards.objective import check_form, check_knowledge

HEADLINE = {"reward": "critic/score/mean", "validation accuracy": "val-core/*", "KL": "actor/kl_loss",
            "tokens": "response_length/mean"}  # fmt: skip
BEST = Criterion("validation accuracy", "val-core/*/acc/mean@*", max)


def train(config: DictConfig, run: Run) -> Path:
    """Train to the last step; returns the folder of the trained policy (see common.train).

    Raises InputError for a malformed objective, weight or bound before a Ray worker starts.
    """
    preflight.prepare_environment(config.hardware)
    ray_cluster.import_early(config.hardware)
    task = config.prompt.task or config.dataset.task
    objective = compose(config.objective)
    check_knowledge(objective, task, config.prompt.knowledge)
    check_form(objective, task, config.prompt.form, config.prompt.confidence)
    group_filter.check(config)
    GroupWeights.of(config)
    RolloutRule.of_config(config)
    bounds = {**diagnostics.BOUNDS, **config.warn}
    diagnostics.warnings({}, bounds)
    trainer = common.Trainer(
        headline=HEADLINE,
        policy_key="actor_rollout_ref.model.path",
        limit_key="trainer.max_actor_ckpt_to_keep",
        criterion=BEST,
        execute=partial(run_on_ray, say=run.say),
        warn=partial(diagnostics.warnings, bounds=bounds),
        select=partial(difficulty.select, config, say=run.say),
    )
    return common.train(config, run, trainer)


def run_on_ray(config: DictConfig, say: Callable[[str], None]) -> None:
    """Run verl's trainer in a Ray cluster (ray_cluster.py), and shut down what was started.

    The first SIGINT or SIGTERM stops the training after its current step, with a checkpoint; the second at once.
    Raises InputError, before Ray starts, for a policy with a tensor that cannot be sent to vLLM.
    """
    preflight.check_weight_bucket(config.actor_rollout_ref.model.path, config.hardware)
    import ray

    early = ray_cluster.starts_early(config)
    if not early:
        import_verl(config.hardware)
    with open_dict(config):
        agent = config.actor_rollout_ref.rollout.agent
        for settings, key in ((agent, "agent_loop_config_path"), (config.trainer, "validation_data_dir")):
            if settings[key]:  # Ray's workers run in other folders
                settings[key] = str(Path(settings[key]).resolve())
        ray_cluster.prepare(config, say)
    stop = Path(config.trainer.default_local_dir) / STOP
    stop.unlink(missing_ok=True)

    def ask_to_stop() -> bool:
        if not Path(os.environ["VERL_FILE_LOGGER_PATH"]).exists():  # no step has begun
            return False
        stop.parent.mkdir(parents=True, exist_ok=True)
        stop.touch()
        say("stopping after this step, with a checkpoint; a second signal stops at once")
        return True

    runner = ray.remote(num_cpus=1)(TaskRunner)
    run_watched(partial(run_verl, config, runner, early), ray.shutdown, ask_to_stop)


def run_verl(config: DictConfig, runner: Any, early: bool) -> None:
    """Let verl check the config, start Ray and run the task runner. early: we start Ray, beside the imports of verl."""
    if early:
        with ThreadPoolExecutor(1, initializer=go_second) as beside:
            imports = beside.submit(import_verl, config.hardware)
            ray_cluster.start(config)
            imports.result()
    from verl.trainer.main_ppo import run_ppo
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    verl_settings.skip_old_log_probs(config)
    run_ppo(config, runner)


def go_second() -> None:
    """Lower the priority of this thread: the imports of the workers, which take longer, go first."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def import_verl(hardware: DictConfig) -> None:
    """Raises InputError as preflight.check_platform, which is what imports most of it."""
    with uncollected():
        preflight.check_platform(hardware)
        importlib.import_module("verl.trainer.main_ppo")
