"""verl's client of the rollout servers, which sends the samples of a prompt in one request.

verl 0.9.1 asks the load balancer for a server, calls it, the image pickled anew, and gives it back for each sample
(llm_server.py:99). At 32 prompts of 8 samples these are 768 calls a step; here 96. All samples of a prompt go to the
server that has computed the prompt for the first of them.
"""

from types import SimpleNamespace
from typing import Any

from verl.workers.rollout.llm_server import LLMServerClient
from verl.workers.rollout.replica import TokenOutput

from vrft_aug.engine.verl.shared_prompt import COLLECT_SECONDS, SHARED, Together


class PromptOnceClient(LLMServerClient):
    """verl's, made by `LLMServerManager.get_client`; outside of a shared prompt it is verl's."""

    async def _acquire_server(self, request_id: str, **request: Any) -> tuple[str | None, Any]:
        """What verl calls as a server is a queue here; a server is acquired, and released, for all that it holds."""
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
        """One sample for each; they differ in the name that vLLM gets (`request_id` of the arguments) alone."""
        request_id, request, arguments = samples[0]
        names = [sample.pop("request_id") for *_, sample in samples]
        server_id, server = await super()._acquire_server(request_id, **request)
        try:
            return await server.generate_samples.remote(names, **arguments)
        finally:
            super()._release_server(server_id, request_id)
