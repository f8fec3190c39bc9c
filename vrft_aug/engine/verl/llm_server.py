"""verl's rollout server, which takes the samples of a prompt in one request (see llm_client.py)."""

import asyncio
from typing import Any

import ray
from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer, vLLMReplica


class PromptOnceServer(vLLMHttpServer):
    async def generate_samples(self, names: list[str], *, sampling_params: dict, **prompt: Any) -> list[TokenOutput]:
        """A sample for each of `names`, as `generate` draws it; the error of one is all of theirs."""
        return await asyncio.gather(
            *(self.generate(request_id=name, sampling_params=dict(sampling_params), **prompt) for name in names)
        )


class PromptOnceReplica(vLLMReplica):
    """verl's, with the server above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.server_class = ray.remote(PromptOnceServer)
