"""Generates a policy's answers with vLLM, in this process and with the same inputs as verl's rollouts in training."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from omegaconf import DictConfig
from PIL import Image

from vrft_aug.data.prompts.rendering import chat_parts
from vrft_aug.data.settings import Policy
from vrft_aug.evaluation.answers.probabilities import Branch, Path, branches, class_shares, encode_text, name_paths

CHUNK = 256  # prompts per call of vLLM and progress line; limits the decoded images in memory


class Generator:
    """The policy at `path` (a folder or hub id in Hugging Face format) loaded into vLLM.

    hardware, sampling: the keys of this name in conf/evaluate.yaml. images: most images per prompt.
    """

    at_once = CHUNK  # prompts that are answered together, and that vLLM's cache still holds just afterwards

    def __init__(self, path: str, policy: Policy, hardware: DictConfig, sampling: DictConfig, seed: int,
                 images: int = 1):  # fmt: skip
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
            limit_mm_per_prompt={"image": images, "video": 0},
            skip_mm_profiling=True,
        )
        self._room = policy.max_response_length
        # No seed per request: all requests would draw the same numbers.
        self._sampling = SamplingParams(n=sampling.n, temperature=sampling.temperature, max_tokens=self._room)

    def answer(
        self, prompts: Sequence[str], images: Sequence[Sequence[bytes]], say: Callable[[str], None]
    ) -> Iterator[list[tuple[str, int]]]:
        """`sampling.n` responses to each prompt, as (text, number of tokens); `at_once` prompts are answered together.

        prompts: user turns, each with a "<image>" per image. images: the encoded images of each prompt.
        """
        for start in range(0, len(prompts), CHUNK):
            chunk = slice(start, start + CHUNK)
            answers = self.complete([self._request(*pair) for pair in zip(prompts[chunk], images[chunk], strict=True)])
            say(f"answered {start + len(answers)} of {len(prompts)}")
            yield from answers

    def complete(self, requests: Sequence[dict[str, Any]]) -> list[list[tuple[str, int]]]:
        """As `answer`, for vLLM's own requests: {"prompt": a text in the chat format, "multi_modal_data": ...}."""
        outputs = self._llm.generate(list(requests), self._sampling, use_tqdm=False)
        return [[(choice.text, len(choice.token_ids)) for choice in output.outputs] for output in outputs]

    def class_probabilities(
        self, prompts: Sequence[str], images: Sequence[Sequence[bytes]], responses: Sequence[str],
        classes: Sequence[list[str]],
    ) -> list[list[float]]:
        """The probability of each class at the place of each response's answer (probabilities.py).

        Cheap for prompts that were answered just before: vLLM then only computes a few tokens at each branch.
        prompts, images: as for `answer`, at most `at_once`. classes: of each prompt; the probabilities are in their
        order.
        """
        encode = partial(encode_text, self._processor.tokenizer)
        paths = [name_paths(*pair, encode, self._room) for pair in zip(responses, classes, strict=True)]
        asked = [(row, branch) for row, of_row in enumerate(paths) for branch in branches(of_row)]
        begun = [self._as_tokens(self._request(*pair)) for pair in zip(prompts, images, strict=True)]
        found: list[dict[Path, dict[int, float]]] = [{} for _ in paths]
        answers = self._next_tokens([(begun[row], branch) for row, branch in asked])
        for (row, (path, _)), log_probs in zip(asked, answers, strict=True):
            found[row].setdefault(path, {}).update(log_probs)
        return [class_shares(*pair) for pair in zip(paths, found, strict=True)]

    def forget(self) -> None:
        """Empty the engine's caches of prompts and images, for measurements that must not profit from earlier ones."""
        self._llm.reset_prefix_cache()
        self._llm.reset_mm_cache()

    def _next_tokens(self, asked: Sequence[tuple[dict[str, Any], Branch]]) -> list[dict[int, float]]:
        """The logarithm of the probability of each of a branch's tokens, after a request and the branch's path."""
        from vllm import SamplingParams

        requests = [{**begun, "prompt_token_ids": begun["prompt_token_ids"] + list(path)} for begun, (path, _) in asked]
        wanted = [SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=tokens, detokenize=False)
                  for _, (_, tokens) in asked]  # fmt: skip
        outputs = self._llm.generate(requests, wanted, use_tqdm=False)
        log_probs = [output.outputs[0].logprobs[0] for output in outputs]
        return [{token: one[token].logprob for token in tokens}
                for one, (_, (_, tokens)) in zip(log_probs, asked, strict=True)]  # fmt: skip

    def _as_tokens(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with its text as tokens: one stands for each image, which vLLM repeats as in a text."""
        tokens = self._processor.tokenizer(request["prompt"]).input_ids
        return {"prompt_token_ids": tokens, "multi_modal_data": request["multi_modal_data"]}

    def _request(self, prompt: str, images: Sequence[bytes]) -> dict[str, Any]:
        """The same text and images that verl's agent loop sends to vLLM."""
        messages = [{"role": "user", "content": chat_parts(prompt)}]
        text = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        decoded = [Image.open(io.BytesIO(encoded)).convert("RGB") for encoded in images]
        return {"prompt": text, "multi_modal_data": {"image": decoded}}
