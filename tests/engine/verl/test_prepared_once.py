"""Checks that vLLM prepares a prompt once for all of its samples, and that its engine gets the same as before."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytest.importorskip("vllm", reason="vLLM is not installed (make setup)")

from vllm.engine.arg_utils import EngineArgs
from vllm.multimodal.cache import MultiModalReceiverCache
from vllm.renderers.registry import renderer_from_config

from vrft_aug.engine.verl.llm_server import PreparingOnce, PromptOnceServer
from vrft_aug.tiny.shipped import FOLDER

SAMPLES = 8
IMAGE_BYTES = 64 * 1176 * 4  # 56 x 56 pixels in float32, each patch twice for its two frames
CACHES = {"all images": 1000 * IMAGE_BYTES, "two images": 2.5 * IMAGE_BYTES, "no cache": 0}


class Engine:
    """vLLM's renderer in front of the cache of its engine's process, which raises where it lacks an image."""

    def __init__(self, cache_bytes: float):
        config = EngineArgs(str(FOLDER), dtype="float32", limit_mm_per_prompt={"image": 2},
                            mm_processor_cache_gb=cache_bytes / 2**30).create_engine_config()  # fmt: skip
        self.renderer = renderer_from_config(config)
        self.received = MultiModalReceiverCache(config.model_config) if cache_bytes else None
        self.got: list[tuple] = []
        self.sent = 0  # images that travelled

    def generate(self, prompt: dict, name: int) -> None:
        if "type" not in prompt:  # as vLLM does with what is not prepared
            prompt = self.renderer.render_cmpl([prompt])[0]
        items = prompt.get("mm_kwargs", {}).get("image", [])
        self.sent += sum(item is not None for item in items)
        features = [SimpleNamespace(data=item, mm_hash=one, identifier=one)
                    for item, one in zip(items, prompt.get("mm_hashes", {}).get("image", []), strict=True)]
        if self.received:
            features = self.received.get_and_update_features(features)
        pixels = [feature.data["pixel_values"].data for feature in features]
        self.got.append((name, prompt["prompt_token_ids"], prompt.get("mm_placeholders"), pixels))


class Server(PromptOnceServer):
    """The rollout server; `generate` stands for verl's. The samples of the first prompt come one after the other."""

    def __init__(self, engine: object):
        self.engine = engine

    async def generate(self, request_id: int, sampling_params: dict, prompt: dict) -> None:
        for _ in range(request_id if prompt["prompt_token_ids"][1] == 8 else 0):
            await asyncio.sleep(0)
        self.engine.generate(prompt=prompt, name=request_id)


@pytest.fixture(params=list(CACHES))
def engines(request) -> list[Engine]:
    return [Engine(CACHES[request.param]) for _ in range(2)]


def prompt(seed: int, images: int = 1) -> dict:
    rng = np.random.default_rng(seed)
    pictures = [Image.fromarray(rng.integers(0, 256, (56, 56, 3), np.uint8)) for _ in range(images)]
    tokens = [7, 8 + seed, *[1962, 1965, 1963] * images, 9]  # start, image, end of what is seen
    return {"prompt_token_ids": tokens} | ({"multi_modal_data": {"image": pictures}} if images else {})


def ask(engine: object, prompts: list[dict]) -> None:
    server = Server(engine)

    async def everything() -> None:
        samples = [(number, {}) for number in range(SAMPLES)]
        await asyncio.gather(*(asyncio.create_task(server.generate_samples(samples, prompt=one)) for one in prompts))

    asyncio.run(everything())


def same(one: tuple, two: tuple) -> bool:
    return one[:3] == two[:3] and all(map(torch.equal, one[3], two[3])) and len(one[3]) == len(two[3])


@pytest.mark.parametrize("prompts", [
    pytest.param([prompt(0), prompt(1), prompt(2), prompt(0)], id="one image"),
    pytest.param([prompt(0, images=2), prompt(1, images=2)], id="two images"),
    pytest.param([prompt(0, images=0), prompt(1, images=0)], id="text"),
])  # fmt: skip
def test_the_engine_gets_the_same_from_one_preparation(engines, monkeypatch, prompts):
    verls, ours = engines
    runs = []
    render = ours.renderer.render_cmpl
    monkeypatch.setattr(ours.renderer, "render_cmpl", lambda prompts: runs.append(prompts) or render(prompts))
    for _ in range(3):  # later, images are known, or were pushed out of the cache
        ask(verls, prompts)
        ask(PreparingOnce(ours), prompts)
    assert len(ours.got) == len(verls.got) == 3 * SAMPLES * len(prompts)
    assert all(map(same, verls.got, ours.got))
    assert ours.sent == verls.sent
    if ours.received and ours.renderer.mm_processor_cache._cache.maxsize > 10 * IMAGE_BYTES:
        assert len(runs) == 3 * len(prompts)


def test_both_processes_drop_the_same_image():
    """Image 0 is used last in both, so that image 2 takes the place of image 1."""
    engine = Engine(CACHES["two images"])
    for asked in ((0, 1), (2,), (1,)):
        ask(PreparingOnce(engine), [prompt(seed) for seed in asked])
    assert engine.sent == 4


def test_the_servers_engine_works_as_vllms_otherwise(engines):
    engine = PreparingOnce(engines[0])
    assert engine.renderer is engines[0].renderer
    engine.generate(prompt=prompt(0), name=0)  # outside of a shared prompt, as for a validation by verl's server
    assert len(engines[0].got) == 1
