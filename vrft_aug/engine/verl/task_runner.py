"""Runs one training inside Ray, as verl's own task runner does, with our trainer and rollout workers."""

from omegaconf import DictConfig, open_dict

MANAGER = "vrft_aug.engine.verl.agent_loop.PromptOnceManager"


class TaskRunner:
    """A Ray actor; verl's trainer lives in its process."""

    def run(self, config: DictConfig) -> None:
        """Train to the end. `hardware.share_prompts=false` leaves verl's own rollout workers, servers and clients."""
        from verl.trainer.main_ppo import TaskRunnerV1
        from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
        from verl.workers.rollout.replica import RolloutReplicaRegistry

        from vrft_aug.engine.verl.llm_server import PromptOnceReplica
        from vrft_aug.engine.verl.trainer import StoppableTrainer

        # Under verl's own names: verl compares the trainer's name with "sync" and the engine's with "vllm".
        TRAINER_REGISTRY["sync"] = StoppableTrainer
        if config.hardware.share_prompts:
            RolloutReplicaRegistry.register("vllm", lambda: PromptOnceReplica)
            with open_dict(agent := config.actor_rollout_ref.rollout.agent):
                agent.setdefault("agent_loop_manager_class", MANAGER)
        TaskRunnerV1.__ray_metadata__.modified_class().run(config)
