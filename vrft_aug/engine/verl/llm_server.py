"""Lets verl's rollout server generate all samples of a prompt from one request (see llm_client.py).

For each sample verl 0.9.1 gives vLLM the tokens and the image, and vLLM prepares them: it runs Hugging Face's
processor, computes a hash, and finds the places of the image's tokens. Here it prepares a prompt once for all samples
of a request.
"""

import asyncio
from typing import Any

import ray
from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer, vLLMReplica

from vrft_aug.engine.verl.shared_prompt import SHARED


class PreparingOnce:
    """vLLM's engine; the samples that share a prompt (shared_prompt.py) share what vLLM's renderer makes of it."""

    def __init__(self, engine: Any):
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, prompt: Any, **more: Any) -> Any:
        """vLLM's generator of outputs for a prompt."""
        shared = SHARED.get()
        if shared is not None:
            prompt = shared["prepared"] = self._again(shared.get("prepared")) or self._prepared(prompt)
        return self._engine.generate(prompt=prompt, **more)

    def _prepared(self, prompt: Any) -> dict[str, Any]:
        return self._engine.renderer.render_cmpl([prompt])[0]

    def _again(self, prepared: dict[str, Any] | None) -> dict[str, Any] | None:
        """What the renderer would return for this prompt again; None: it has to prepare it.

        It sends the engine's process no image that this already has. Which images these are, both know by the order in
        which they were last used (vllm/multimodal/cache.py); so each use is told to the renderer's cache.
        """
        if prepared is None or prepared["type"] != "multimodal":
            return prepared
        cache, hashes = self._engine.renderer.mm_processor_cache, prepared["mm_hashes"]
        if cache is None or not all(all(cache.is_cached(those)) for those in hashes.values()):
            return None
        used = {kind: [cache.get_and_update_item(None, one)[0] for one in those] for kind, those in hashes.items()}
        return prepared | {"mm_kwargs": used}


class PromptOnceServer(vLLMHttpServer):
    engine: Any

    async def run_server(self, *args: Any) -> None:
        await super().run_server(*args)
        self.engine = PreparingOnce(self.engine)

    async def generate_samples(self, samples: list[tuple[str, dict]], **prompt: Any) -> list[TokenOutput]:
        """Generate each sample, (its name, its sampling parameters), with verl's `generate`.

        An error in one sample is raised for all of them.
        """
        SHARED.set({})  # Ray calls this in an asyncio task of its own; the tasks of its samples inherit the value
        return await asyncio.gather(
            *(self.generate(request_id=name, sampling_params=parameters, **prompt) for name, parameters in samples)
        )


class PromptOnceReplica(vLLMReplica):
    """verl's replica, with the server above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.server_class = ray.remote(PromptOnceServer)
