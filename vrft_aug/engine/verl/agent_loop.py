"""Runs the samples of a step: each prompt is prepared once for all of its samples, which are scored together.

task_runner.py gives the manager to verl as `rollout.agent.agent_loop_manager_class`, an extension point of verl.
For each sample verl 0.9.1 makes an agent loop with its token builder (agent_loop.py:661), and runs the image processor
three times: to build the prompt (:318), for the reward worker (:868) and for the actor (agent_loop_tq.py:188). It also
sends one request per sample to the reward worker. With 32 prompts of 8 samples these are 256 loops, 768 runs of the
processor and 256 requests per step. Here they are one loop, 32 runs, and one request for all samples that end within
`COLLECT_SECONDS`. vLLM (through llm_client.py) and the reward worker receive the same as from verl. The queue receives
the same except the prompt's messages: verl stores them for each sample, with two copies of the image, and sends them to
reference and actor, which only read tokens.

Each sample is drawn with a seed of its own (`hardware.vllm.seed_samples`). vLLM would draw all samples from one stream
of random numbers, in the order in which their requests arrive, which no two runs have in common.
"""

import random
import time
import zlib
from functools import partial
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

from vrft_aug.engine.verl.shared_prompt import COLLECT_SECONDS, SHARED, Together, apart, once
from vrft_aug.engine.verl.stored_together import store_together

SPENT = ("prompt", "raw_prompt", "tools_kwargs", "interaction_kwargs")  # nobody reads them after scoring
TOKENS_ONLY = {"detokenize": False}  # verl reads no text from vLLM


class PromptOnceManager(AgentLoopManagerTQ):
    """verl's manager, with the workers below."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        store_together()
        self.agent_loop_workers_class = ray.remote(PromptOnceWorker)


class PromptOnceWorker(AgentLoopWorkerTQ.__ray_actor_class__):
    """verl's worker. A row that names another agent loop (`agent_name`) is processed as verl does."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._single_turn = PromptOnceAgentLoop(
            trainer_config=DictConfigWrap(self.config), server_manager=self.llm_client, tokenizer=self.tokenizer,
            processor=self.processor, dataset_cls=self.dataset_cls, data_config=DictConfigWrap(self.config.data),
            hf_model_type=self.hf_model_type,
        )  # fmt: skip
        self._score_together = Together(partial(apart, self._score), COLLECT_SECONDS)
        self._seed = self.config.actor_rollout_ref.rollout.seed if self.config.hardware.vllm.seed_samples else None
        self._number_type = getattr(torch, self.config.actor_rollout_ref.actor.fsdp_config.dtype)

    async def _run_prompt(self, prompt: dict, *args: Any, **kwargs: Any) -> None:
        SHARED.set({})  # verl runs each prompt in its own asyncio task; the tasks of its samples inherit the value
        await super()._run_prompt(prompt, *args, **kwargs)

    async def _run_agent_loop(self, sampling_params: dict, trajectory: dict, *, agent_name: str, **row: Any) -> None:
        if agent_name != "single_turn_agent":
            SHARED.set(None)  # tools may give each sample other images; this changes only the task of this sample
            return await super()._run_agent_loop(sampling_params, trajectory, agent_name=agent_name, **row)
        row.pop("trace", None)
        output = await self._single_turn.run(sampling_params | TOKENS_ONLY | own_seed(self._seed, row), **row)
        await self._compute_score([output], row)
        if output.reward_score is not None:  # None: a reward model beside the actor will read the prompt later
            row = {column: value for column, value in row.items() if column not in SPENT}
        await self._agent_loop_postprocess(output, trajectory["validate"], **row)

    def _compute_multi_modal_inputs(self, output: AgentLoopOutput, input_ids: torch.Tensor) -> dict:
        """The image's tensors, once per prompt: those with which the prompt was built (PromptOnceAgentLoop)."""
        shared = SHARED.get()
        if shared is None:
            return super()._compute_multi_modal_inputs(output, input_ids)
        if "inputs" not in shared:
            _, processed = shared["prompt"].result()
            inputs = processed or super()._compute_multi_modal_inputs(output, input_ids)  # a text goes by no processor
            shared["inputs"] = for_actor(inputs, self._number_type)
        return dict(shared["inputs"])

    def _compute_position_ids(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, multi_modal_inputs: dict, **more: Any
    ) -> torch.Tensor:
        """Positions (1, 4, tokens), from verl for the first of a prompt's samples: an answer is text, and so each of
        its tokens is one further than the last of the prompt."""
        shared = SHARED.get()
        if shared is None:
            return super()._compute_position_ids(input_ids, attention_mask, multi_modal_inputs, **more)
        if "positions" not in shared:
            found = super()._compute_position_ids(input_ids, attention_mask, dict(multi_modal_inputs), **more)
            shared["positions"] = found
        multi_modal_inputs.pop("mm_token_type_ids", None)  # as verl does: only positions follow from it
        return continued(shared["positions"], input_ids.shape[1])

    async def _compute_score(self, outputs: list[AgentLoopOutput], kwargs: dict) -> None:
        """Let the reward worker score the last of `outputs`, as verl does."""
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


def own_seed(seed: int | None, row: dict[str, Any]) -> dict[str, int]:
    """The seed of a sample, from the run's seed, its prompt's name (trainer.py) and its own; none for seed None."""
    return {} if seed is None else {"seed": zlib.crc32(f"{seed} {row['uid']} {row['session_id']}".encode())}


def continued(positions: torch.Tensor, tokens: int) -> torch.Tensor:
    """Positions (1, 4, any number of tokens) that end with text, shortened or continued to a number of tokens."""
    more = torch.arange(1, max(0, tokens - positions.shape[-1]) + 1)
    return torch.cat([positions, positions[..., -1:] + more], -1)[..., :tokens]


def for_actor(processed: dict[str, Any], number_type: torch.dtype) -> dict[str, Any]:
    """What verl gives the actor of a processor's output (agent_loop.py:909), with `pixel_values` in a number type.

    That is the type in which the policy computes. FSDP2 casts them to it anyway (MixedPrecisionPolicy,
    cast_forward_inputs). In bfloat16 they are half as large in the queue, where every sample has its own copy:
    8 x 361 visual tokens x 4 patches x 1176 numbers per prompt.
    """
    inputs = {key: value for key, value in processed.items() if key != "attention_mask"}
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(number_type)
    if (grid := inputs.get("image_grid_thw")) is not None:
        frames, height, width = grid.T
        inputs["images_seqlens"] = torch.repeat_interleave(height * width, frames)
    return inputs


def to_score(samples: list[tuple[AgentLoopOutput, dict]]) -> DataProto:
    """Build the batch that a reward manager takes, from each sample's output and its row.

    Tokens are padded as verl pads them: prompts on the left, responses on the right; (samples, longest).
    """

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
    """verl's single-turn loop, with image and prompt prepared once for all samples of a prompt."""

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
