"""Gives verl a reward manager that scores each rollout by its row's task and logs every part.

    reward.reward_manager.source=importlib
    reward.reward_manager.module.path=pkg://vrft_aug.rewards.adapters.verl
    reward.reward_manager.name=TaskRewardManager

The objective is the config group `objective`, beside verl's own groups.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from omegaconf import DictConfig, OmegaConf
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from vrft_aug.errors import InputError
from vrft_aug.rewards import ExtraInfo, compose, compute_score
from vrft_aug.rewards.parsing import parse
from vrft_aug.rewards.recitation import bleu, references
from vrft_aug.rewards.schedule import progress
from vrft_aug.rewards.thought import thought_right

STEPS = "actor_rollout_ref.actor.optim.total_training_steps"  # verl's trainer writes it before it starts its workers


class TaskRewardManager(RewardManagerBase):
    """Scores one sample at a time in a thread beside the event loop, while vLLM generates other samples."""

    def __init__(self, config: DictConfig, tokenizer: Any, compute_score: Any = None, **reward_model: Any):
        """`config` is verl's whole config with our `objective`; verl's own scoring functions are not used.

        Raises InputError where the config has no objective or a malformed one, or where the objective changes during
        the training and the config does not know the number of steps.
        """
        super().__init__(config, tokenizer, compute_score)
        if config.get("objective") is None:
            raise InputError("the config has no group `objective`: add objective=accuracy or another of conf/objective")
        self.objective = compose(config.objective)
        self._steps = int(OmegaConf.select(config, STEPS) or 0)
        if self.objective.scheduled and self._steps < 1:
            raise InputError(f"objective: its schedule needs the number of steps: set {STEPS}, or choose no schedule")
        self._thread = ThreadPoolExecutor(1)  # scoring only computes, so further threads would not make it faster

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """{"reward_score": float, "reward_extra_info": the same keys for every sample} of the last sequence."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._score, data[-1])

    def _score(self, item: Any) -> dict[str, Any]:
        started = time.thread_time()  # the time that scoring uses, without the time that it waits for a core
        responses, row = item.batch["responses"], item.non_tensor_batch
        length = int(item.batch["attention_mask"][-responses.shape[-1] :].sum())
        text = self.tokenizer.decode(responses[:length], skip_special_tokens=True)
        extra_info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        done = progress(extra_info, int(row["global_steps"]), self._steps) if self.objective.scheduled else None
        info = compute_score(row["data_source"], text, truth, extra_info, self.objective, tokens=length, progress=done)
        info |= {"response_length": length, "knowledge_bleu": knowledge_bleu(text, extra_info)}
        info["thought_right"] = thought_right(text, extra_info)  # logged, not paid
        info["scoring_seconds"] = time.thread_time() - started
        return {"reward_score": info["score"], "reward_extra_info": info}


def knowledge_bleu(text: str, extra_info: ExtraInfo) -> float | None:
    """BLEU of the thought against the knowledge block, whatever the objective; None for a row without one of both."""
    form = extra_info.get("form")
    if extra_info.get("knowledge") is None or not len(extra_info["knowledge"]) or form == "answer_only":
        return None
    return bleu(parse(text, extra_info["task"], form=form).thought, references(extra_info, "knowledge"))
