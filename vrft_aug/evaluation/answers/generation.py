"""Generates a policy's answers with vLLM, in this process and with the same inputs as verl's rollouts in training."""

import io
import os
from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig
from PIL import Image

from vrft_aug.data.settings import Policy

CHUNK = 256  # prompts per call of vLLM and progress line; limits the decoded images in memory


class Generator:
    """The policy at `path` (a folder or hub id in Hugging Face format) loaded into vLLM.

    hardware, sampling: the keys of this name in conf/evaluate.yaml.
    """

    def __init__(self, path: str, policy: Policy, hardware: DictConfig, sampling: DictConfig, seed: int):
        # With a second process, chance would decide which requests share a batch.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        from transformers import AutoProcessor
        from vllm import LLM, SamplingParams

        self._processor = AutoProcessor.from_pretrained(path)
        self._llm = LLM(
            model=path,
            dtype=hardware.dtype,
            seed=seed,
            max_model_len=policy.max_length,
            max_num_seqs=hardware.vllm.max_num_seqs,
            max_num_batched_tokens=hardware.vllm.max_num_batched_tokens,
            tensor_parallel_size=hardware.vllm.tensor_parallel,
            mm_processor_cache_gb=hardware.vllm.image_cache_gb,
            kv_cache_memory_bytes=hardware.vllm.kv_cache_bytes,
            block_size=hardware.vllm.kv_block_tokens,
            gpu_memory_utilization=hardware.vllm.memory_fraction,
            enforce_eager=hardware.vllm.enforce_eager,
            limit_mm_per_prompt={"image": 1, "video": 0},
            skip_mm_profiling=True,
        )
        # No seed per request: all requests would draw the same numbers, and vLLM 0.24.0 fails with it on a CPU.
        longest = policy.max_response_length
        self._sampling = SamplingParams(n=sampling.n, temperature=sampling.temperature, max_tokens=longest)

    def answer(
        self, prompts: Sequence[str], images: Sequence[bytes], say: Callable[[str], None]
    ) -> list[list[tuple[str, int]]]:
        """`sampling.n` responses to each prompt, as (text, number of tokens).

        prompts: user turns, each with one "<image>". images: encoded images, one per prompt.
        """
        answers: list[list[tuple[str, int]]] = []
        for start in range(0, len(prompts), CHUNK):
            chunk = slice(start, start + CHUNK)
            answers += self.complete([self._request(*pair) for pair in zip(prompts[chunk], images[chunk], strict=True)])
            say(f"answered {len(answers)} of {len(prompts)}")
        return answers

    def complete(self, requests: Sequence[dict[str, Any]]) -> list[list[tuple[str, int]]]:
        """As `answer`, for vLLM's own requests: {"prompt": a text in the chat format, "multi_modal_data": ...}."""
        outputs = self._llm.generate(list(requests), self._sampling, use_tqdm=False)
        return [[(choice.text, len(choice.token_ids)) for choice in output.outputs] for output in outputs]

    def _request(self, prompt: str, encoded: bytes) -> dict[str, Any]:
        """The same text and image that verl's agent loop sends to vLLM."""
        before, after = prompt.split("<image>")
        parts: list[dict[str, Any]] = [{"type": "text", "text": before}] if before else []
        parts += [{"type": "image"}, {"type": "text", "text": after}]
        messages = [{"role": "user", "content": parts}]
        text = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return {"prompt": text, "multi_modal_data": {"image": [Image.open(io.BytesIO(encoded)).convert("RGB")]}}
