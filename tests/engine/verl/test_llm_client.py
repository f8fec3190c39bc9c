"""Checks that the samples of a prompt reach the rollout server in one request, with the same results as verl's."""

import asyncio
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.workers.rollout.llm_server import LLMServerClient
from verl.workers.rollout.replica import TokenOutput

from vrft_aug.engine.verl.llm_client import PromptOnceClient
from vrft_aug.engine.verl.llm_server import PromptOnceServer
from vrft_aug.engine.verl.shared_prompt import SHARED

CONFIG = OmegaConf.create({"actor_rollout_ref": {"rollout": {"name": "vllm"}}})
SAMPLING = {"temperature": 0.9, "logprobs": True}


def remote(function) -> SimpleNamespace:
    return SimpleNamespace(remote=function)


class Server(PromptOnceServer):
    """Answers with the prompt and counts its samples; like verl's server, it changes the sampling parameters."""

    def __init__(self):
        self.requests, self.names, self.sampling = 0, [], []

    async def generate(self, request_id: str, prompt_ids: list[int], sampling_params: dict, image_data, **_):
        self.sampling.append(sampling_params.copy())
        sampling_params.pop("logprobs")
        if image_data == "broken":
            raise ValueError("broken image")
        self.names.append(request_id)
        return TokenOutput(token_ids=[*prompt_ids, len(self.names)], extra_fields={"global_steps": 3})

    async def one(self, **request) -> TokenOutput:
        self.requests += 1
        return await self.generate(**request)

    async def several(self, samples: list[tuple[str, dict]], **request) -> list[TokenOutput]:
        self.requests += 1
        return await self.generate_samples(samples, **request)


class Balancer:
    """verl's load balancer, with one server."""

    def __init__(self, server: Server):
        self.held, self.acquired = 0, 0
        handle = SimpleNamespace(generate=remote(server.one), generate_samples=remote(server.several))
        self.acquire_server = remote(lambda **_: self._acquire(handle))
        self.release_server = remote(self._release)
        self.require_acquire_fields = self.require_release_fields = remote(self._fields)

    async def _fields(self) -> list[str]:
        return []

    async def _acquire(self, handle) -> tuple[str, SimpleNamespace]:
        self.held += 1
        self.acquired += 1
        return "server", handle

    def _release(self, server_id: str) -> None:
        assert server_id == "server"
        self.held -= 1


def generate(kind: type, image: str = "image", shared: bool = True, samples: int = 8):
    """Ask for samples of two prompts at once."""
    server = Server()
    balancer = Balancer(server)
    client = kind(CONFIG, balancer)

    async def prompt(tokens: list[int]) -> list:
        SHARED.set({} if shared else None)
        calls = (client.generate(f"{tokens}-{number}", prompt_ids=tokens, sampling_params=SAMPLING | {"seed": number},
                                 image_data=image) for number in range(samples))  # fmt: skip
        return await asyncio.gather(*calls, return_exceptions=True)

    async def both() -> list[list]:
        return await asyncio.gather(*(asyncio.create_task(prompt(tokens)) for tokens in ([1, 2], [3])))

    return server, balancer, asyncio.run(both())


def test_eight_samples_are_one_request():
    verls, theirs, expected = generate(LLMServerClient)
    server, balancer, found = generate(PromptOnceClient)
    assert (verls.requests, theirs.acquired) == (16, 16) and (server.requests, balancer.acquired) == (2, 2)
    assert theirs.held == balancer.held == 0
    assert found == expected, "prompts, order of the samples, extra fields"
    assert server.sampling == verls.sampling == [SAMPLING | {"seed": number} for number in range(8)] * 2
    assert len(set(server.names)) == 16, "each sample is a request of vLLM's"


def test_outside_of_a_shared_prompt_it_works_as_verls():
    server, balancer, found = generate(PromptOnceClient, shared=False)
    assert (server.requests, balancer.acquired, balancer.held) == (16, 16, 0)
    assert found == generate(LLMServerClient)[2]


def test_an_error_reaches_every_sample_and_frees_the_server():
    _, balancer, found = generate(PromptOnceClient, image="broken")
    assert [str(error) for samples in found for error in samples] == ["broken image"] * 16
    assert balancer.held == 0
