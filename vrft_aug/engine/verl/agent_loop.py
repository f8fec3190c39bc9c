"""verl's rollout workers, which do once a prompt what its eight samples share, and together what each needs.

Named in conf/grpo.yaml as `rollout.agent.agent_loop_manager_class`, verl's own extension point. For each sample verl
0.9.1 makes an agent loop with its token builder (agent_loop.py:661), runs the image processor when it builds the prompt
(:318), again for the reward worker (:868) and again for the actor (agent_loop_tq.py:188), and sends the reward worker a
request. At 32 prompts of 8 samples these are 256 loops, 768 runs of the processor and 256 requests a step; here they
are one loop, 64 runs, and a request for all samples that end within `COLLECT_SECONDS`. What reaches vLLM (by
llm_client.py) and the reward worker is the same. The queue gets the same but for the prompt's messages: verl stores
them, with the image in two copies, for each sample, and sends them to reference and actor, which read tokens.
"""

import random
import time
from typing import Any

import numpy as np
import ray
import torch
from tensordict import TensorDict
from torch.nn.utils.rnn import pad_sequence
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, DictConfigWrap
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

from vrft_aug.engine.verl.shared_prompt import COLLECT_SECONDS, SHARED, Together, once

SPENT = ("prompt", "raw_prompt", "tools_kwargs", "interaction_kwargs")  # read by nobody once there is a score
TOKENS_ALONE = {"detokenize": False}  # verl takes no text from vLLM


class PromptOnceManager(AgentLoopManagerTQ):
    """verl's, with the workers below."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(PromptOnceWorker)


class PromptOnceWorker(AgentLoopWorkerTQ.__ray_actor_class__):
    """verl's; rows that name an agent loop of their own (`agent_name`) are treated as verl treats them."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._single_turn = PromptOnceAgentLoop(
            trainer_config=DictConfigWrap(self.config), server_manager=self.llm_client, tokenizer=self.tokenizer,
            processor=self.processor, dataset_cls=self.dataset_cls, data_config=DictConfigWrap(self.config.data),
            hf_model_type=self.hf_model_type,
        )  # fmt: skip
        self._score_together = Together(self._score, COLLECT_SECONDS)

    async def _run_prompt(self, prompt: dict, *args: Any, **kwargs: Any) -> None:
        SHARED.set({})  # each prompt runs in a task of its own, its samples in tasks that inherit from it
        await super()._run_prompt(prompt, *args, **kwargs)

    async def _run_agent_loop(self, sampling_params: dict, trajectory: dict, *, agent_name: str, **row: Any) -> None:
        if agent_name != "single_turn_agent":
            SHARED.set(None)  # its tools may give each sample other images; the samples' tasks keep this to themselves
            return await super()._run_agent_loop(sampling_params, trajectory, agent_name=agent_name, **row)
        row.pop("trace", None)
        output = await self._single_turn.run(sampling_params | TOKENS_ALONE, **row)
        await self._compute_score([output], row)
        if output.reward_score is not None:  # a reward model beside the actor reads the prompt later
            row = {column: value for column, value in row.items() if column not in SPENT}
        await self._agent_loop_postprocess(output, trajectory["validate"], **row)

    def _compute_multi_modal_inputs(self, output: AgentLoopOutput, input_ids: torch.Tensor) -> dict:
        """verl's: the image's tensors, which do not depend on the response."""
        shared = SHARED.get()
        if shared is None:
            return super()._compute_multi_modal_inputs(output, input_ids)
        if "inputs" not in shared:
            shared["inputs"] = super()._compute_multi_modal_inputs(output, input_ids)
        return dict(shared["inputs"])

    async def _compute_score(self, outputs: list[AgentLoopOutput], kwargs: dict) -> None:
        """Score the last of `outputs`, as verl does, by the reward worker."""
        final = outputs[-1]
        if final.reward_score is not None or self.reward_loop_worker_handles is None:
            return
        started = time.monotonic()
        result = await self._score_together((final, kwargs))
        final.reward_score = result["reward_score"]
        final.extra_fields["reward_extra_info"] = result["reward_extra_info"]
        final.metrics.compute_score = time.monotonic() - started

    async def _score(self, samples: list[tuple[AgentLoopOutput, dict]]) -> list[dict]:
        worker = random.choice(self.reward_loop_worker_handles)
        return await worker.compute_score_batch.remote(to_score(samples))


def to_score(samples: list[tuple[AgentLoopOutput, dict]]) -> DataProto:
    """What a reward manager takes: tokens as verl pads them (prompts left, responses right), each row's columns."""

    def pad(sequences: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = [torch.tensor(sequence, dtype=torch.int64) for sequence in sequences]
        masks = [torch.ones_like(sequence) for sequence in tokens]
        return pad_sequence(tokens, True, 0, side), pad_sequence(masks, True, 0, side)

    outputs, rows = zip(*samples, strict=True)
    prompts, prompt_mask = pad([output.prompt_ids for output in outputs], "left")
    responses, response_mask = pad([output.response_ids for output in outputs], "right")
    tensors = {"prompts": prompts, "responses": responses, "input_ids": torch.cat([prompts, responses], 1),
               "attention_mask": torch.cat([prompt_mask, response_mask], 1)}  # fmt: skip
    columns = {key: _column([row[key] for row in rows]) for key in rows[0]}
    columns |= {"__num_turns__": np.array([output.num_turns for output in outputs]),
                "tool_extra_fields": _column([output.extra_fields for output in outputs]),
                "prompt_len": np.array([len(output.prompt_ids) for output in outputs]),
                "response_len": np.array([len(output.response_ids) for output in outputs])}  # fmt: skip
    return DataProto(TensorDict(tensors, batch_size=len(outputs)), columns)


def _column(values: list) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


class PromptOnceAgentLoop(SingleTurnAgentLoop):
    """verl's single turn, with image and prompt prepared once for the samples of a prompt."""

    async def process_multi_modal_info(self, messages: list[dict]) -> dict:
        prepare = super().process_multi_modal_info
        return dict(await once("media", lambda: prepare(messages)))

    async def ct_build_initial_tokens(self, messages: list[dict], *, mm_inputs_out: dict, **media: Any) -> list[int]:
        build = super().ct_build_initial_tokens

        async def prepare() -> tuple[list[int], dict]:
            inputs: dict[str, Any] = {}
            return await build(messages, mm_inputs_out=inputs, **media), inputs

        tokens, inputs = await once("prompt", prepare)
        mm_inputs_out.update(inputs)
        return list(tokens)
