"""Lets verl's rollout server generate all samples of a prompt from one request (see llm_client.py)."""

import asyncio
from typing import Any

import ray
from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer, vLLMReplica


class PromptOnceServer(vLLMHttpServer):
    async def generate_samples(self, samples: list[tuple[str, dict]], **prompt: Any) -> list[TokenOutput]:
        """Generate each sample, (its name, its sampling parameters), with verl's `generate`.

        An error in one sample is raised for all of them.
        """
        return await asyncio.gather(
            *(self.generate(request_id=name, sampling_params=parameters, **prompt) for name, parameters in samples)
        )


class PromptOnceReplica(vLLMReplica):
    """verl's replica, with the server above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.server_class = ray.remote(PromptOnceServer)
