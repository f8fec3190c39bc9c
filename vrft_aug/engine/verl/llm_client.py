"""Sends all samples of a prompt to the rollout server in one request.

For each sample verl 0.9.1 asks the load balancer for a server, calls the server with the pickled image, and releases
the server (llm_server.py:99). With 32 prompts of 8 samples these are 768 calls per step; here they are 96. All samples
of a prompt use the server that has already computed the prompt for the first of them.
"""

from types import SimpleNamespace
from typing import Any

from verl.workers.rollout.llm_server import LLMServerClient
from verl.workers.rollout.replica import TokenOutput

from vrft_aug.engine.verl.shared_prompt import COLLECT_SECONDS, SHARED, Together


class PromptOnceClient(LLMServerClient):
    """A client for PromptOnceServer (llm_server.py). It works as verl's where the samples share nothing."""

    async def _acquire_server(self, request_id: str, **request: Any) -> tuple[str | None, Any]:
        """Return a queue in place of a server; `_send` acquires a real server for everything that was queued."""
        shared = SHARED.get()
        if shared is None:
            return await super()._acquire_server(request_id, **request)
        send = shared.setdefault("requests", Together(self._send, COLLECT_SECONDS))

        async def generate(**arguments: Any) -> TokenOutput:
            return await send((request_id, request, arguments))

        return None, SimpleNamespace(generate=SimpleNamespace(remote=generate))

    def _release_server(self, server_id: str | None, request_id: str | None = None) -> None:
        if server_id is not None:
            super()._release_server(server_id, request_id)

    async def _send(self, samples: list[tuple[str, dict, dict]]) -> list[TokenOutput]:
        """Generate one output per sample. Their arguments differ only in vLLM's name for the sample and in its seed."""
        request_id, request, prompt = samples[0]
        drawn = [(sample.pop("request_id"), dict(sample.pop("sampling_params"))) for *_, sample in samples]
        server_id, server = await super()._acquire_server(request_id, **request)
        try:
            return await server.generate_samples.remote(drawn, **prompt)
        finally:
            super()._release_server(server_id, request_id)
