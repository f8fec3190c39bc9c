"""Checks that prompts are prepared once and samples are scored together, with the same results as verl's."""

import asyncio
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, AgentLoopWorker, DictConfigWrap
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils import hf_processor
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from vrft_aug.engine.verl.agent_loop import PromptOnceAgentLoop, PromptOnceWorker, for_actor, own_seed, to_score
from vrft_aug.engine.verl.shared_prompt import COLLECT_SECONDS, SHARED, Together
from vrft_aug.tiny import model as tiny_policy
from vrft_aug.tiny import tokenizer as tiny_tokenizer
from vrft_aug.tiny.shipped import FOLDER

SAMPLES = 8
ANSWER = [5, 6, 7]


@pytest.fixture(scope="module")
def processor():
    return tiny_policy.make_processor(tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus()))


class Llm:
    """A client that answers at once and keeps its requests."""

    def __init__(self):
        self.requests = []

    async def generate(self, request_id, **request):
        self.requests.append(request)
        return TokenOutput(token_ids=ANSWER, log_probs=[-0.5] * 3, stop_reason="completed")


def make_loop(kind: type, processor, llm: Llm):
    config = OmegaConf.create(
        {"actor_rollout_ref": {"rollout": {"prompt_length": 64, "response_length": 8, "max_model_len": 72}}}
    )
    data = OmegaConf.create({"mm_processor_kwargs": {"min_pixels": 12544, "max_pixels": 12544}})
    return kind(
        trainer_config=DictConfigWrap(config), server_manager=llm, tokenizer=processor.tokenizer, processor=processor,
        dataset_cls=RLHFDataset, data_config=DictConfigWrap(data), hf_model_type="qwen2_5_vl",
    )  # fmt: skip


def row(seed: int = 0, images: int = 1) -> dict:
    rng = np.random.default_rng(seed)
    pictures = [Image.fromarray(rng.integers(0, 256, (56, 56, 3), np.uint8)) for _ in range(images)]
    content: list[dict] = [{"type": "image", "image": picture} for picture in pictures]
    content.append({"type": "text", "text": "which lesion?"})
    return {"raw_prompt": [{"role": "user", "content": content}]}


def answers(loop, rows: list[dict]) -> list[AgentLoopOutput]:
    async def prompt(one: dict):
        SHARED.set({})
        return await asyncio.gather(*(loop.run({"temperature": 0.9}, **one) for _ in range(SAMPLES)))

    async def everything():
        return await asyncio.gather(*(asyncio.create_task(prompt(one)) for one in rows))

    with closing(asyncio.new_event_loop()) as loop.loop:
        return [output for group in loop.loop.run_until_complete(everything()) for output in group]


def first_answer(processor, one: dict) -> AgentLoopOutput:
    """The first sample of a prompt; what its samples share is then shared here."""
    shared: dict = {}

    async def sample() -> AgentLoopOutput:
        SHARED.set(shared)
        return await loop.run({"temperature": 0.9}, **one)

    loop = make_loop(PromptOnceAgentLoop, processor, Llm())
    with closing(asyncio.new_event_loop()) as loop.loop:
        output = loop.loop.run_until_complete(sample())
    SHARED.set(shared)
    return output


def counting(monkeypatch, owner: object, name: str) -> list:
    calls, original = [], getattr(owner, name)

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


def same(one: AgentLoopOutput, two: AgentLoopOutput) -> bool:
    pictures = [np.stack([np.asarray(image) for image in output.multi_modal_data["images"]]) for output in (one, two)]
    rest = [output.model_dump(exclude={"multi_modal_data", "metrics"}) for output in (one, two)]
    return np.array_equal(*pictures) and rest[0] == rest[1]


@pytest.mark.parametrize("images", [1, 2])
def test_eight_samples_are_verls_from_one_preparation(processor, monkeypatch, images):
    llms, rows = [Llm(), Llm()], [row(0, images), row(1, images)]
    runs = counting(monkeypatch, processor.image_processor, "preprocess")
    theirs = answers(make_loop(SingleTurnAgentLoop, processor, llms[0]), rows)
    assert len(runs) == 2 * SAMPLES
    ours = answers(make_loop(PromptOnceAgentLoop, processor, llms[1]), rows)
    assert len(runs) == 2 * SAMPLES + 2
    assert all(same(*pair) for pair in zip(theirs, ours, strict=True)) and len(ours) == 2 * SAMPLES
    assert [r["prompt_ids"] for r in llms[0].requests] == [r["prompt_ids"] for r in llms[1].requests]
    assert not same(ours[0], ours[SAMPLES]), "two prompts share nothing"


@pytest.mark.parametrize("images", [1, 2])
def test_what_the_actor_gets_is_from_the_preparation_and_equal(processor, monkeypatch, images):
    worker = PromptOnceWorker.__new__(PromptOnceWorker)
    worker.processor, worker.tokenizer, worker.mm_processor_kwargs = processor, processor.tokenizer, {}
    worker._number_type = torch.float32
    output = first_answer(processor, row(images=images))
    ids = torch.tensor(output.prompt_ids + output.response_ids)
    expected = AgentLoopWorker._compute_multi_modal_inputs(worker, output, ids)
    runs = counting(monkeypatch, processor.image_processor, "preprocess")
    for tokens in (ids, ids[:-1]):
        found = worker._compute_multi_modal_inputs(output, tokens)
        assert found.keys() == expected.keys() >= {"pixel_values", "image_grid_thw", "images_seqlens"}
        assert all(torch.equal(found[key], expected[key]) for key in expected if key != "mm_token_type_ids")
        found.clear()  # as verl does with a part of it
    assert not runs


def test_positions_are_verls_from_one_computation(monkeypatch):
    processor = hf_processor(str(FOLDER))  # with the policy's own `get_rope_index`
    worker = PromptOnceWorker.__new__(PromptOnceWorker)
    worker.processor, worker.tokenizer, worker.mm_processor_kwargs = processor, processor.tokenizer, {}
    worker._number_type = torch.float32
    output = first_answer(processor, row())
    runs = counting(monkeypatch, processor, "get_rope_index")

    def positions(length: int, kind: type) -> torch.Tensor:
        ids = torch.tensor(output.prompt_ids + output.response_ids * 9)[: len(output.prompt_ids) + length]
        images = kind._compute_multi_modal_inputs(worker, output, ids)
        found = kind._compute_position_ids(worker, ids[None], torch.ones_like(ids)[None], images)
        assert "mm_token_type_ids" not in images, "the actor does not get it"
        return found

    lengths = (5, 9, 1)  # longer and shorter than the first
    found = [positions(length, PromptOnceWorker) for length in lengths]
    assert len(runs) == 1
    for one, length in zip(found, lengths, strict=True):
        assert one.shape == (1, 4, len(output.prompt_ids) + length)
        assert torch.equal(one, positions(length, AgentLoopWorker))
    SHARED.set(None)
    assert torch.equal(positions(5, PromptOnceWorker), found[0]) and len(runs) == 1 + 3 + 1


def test_another_agent_loop_shares_nothing(processor, monkeypatch):
    """A tool can give each sample another image."""
    worker = PromptOnceWorker.__new__(PromptOnceWorker)
    worker.processor, worker.tokenizer, worker.mm_processor_kwargs = processor, processor.tokenizer, {}
    one, two = (answers(make_loop(SingleTurnAgentLoop, processor, Llm()), [row(seed)])[0] for seed in (0, 1))
    found = []

    async def verls(self, *_, **__):
        for output in (one, two):
            found.append(self._compute_multi_modal_inputs(output, torch.tensor(output.prompt_ids))["pixel_values"])

    monkeypatch.setattr(PromptOnceWorker.__base__, "_run_agent_loop", verls)
    SHARED.set({})
    asyncio.run(worker._run_agent_loop({}, {"validate": False}, agent_name="tool_agent"))
    assert not torch.equal(*found)


def test_an_error_of_the_preparation_reaches_every_sample(processor):
    with pytest.raises(ValueError, match="exceeding"):
        loop = make_loop(PromptOnceAgentLoop, processor, Llm())
        loop.rollout_config.prompt_length = 4
        answers(loop, [row()])


def sample(prompt: list[int], response: list[int], name: str) -> tuple[AgentLoopOutput, dict]:
    output = AgentLoopOutput(prompt_ids=prompt, response_ids=response, response_mask=[1] * len(response), metrics={})
    return output, {"data_source": name, "extra_info": {"image": name}, "raw_prompt": [{"role": "user"}]}


def test_prompts_are_padded_left_and_responses_right():
    data = to_score([sample([1, 2, 3], [4], "a"), sample([1], [5, 6], "b")])
    assert data.batch["prompts"].tolist() == [[1, 2, 3], [0, 0, 1]]
    assert data.batch["responses"].tolist() == [[4, 0], [5, 6]]
    assert data.batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [0, 0, 1, 1, 1]]
    assert data.batch["input_ids"].tolist() == [[1, 2, 3, 4, 0], [0, 0, 1, 5, 6]]
    assert data.non_tensor_batch["data_source"].tolist() == ["a", "b"]
    assert data[1].non_tensor_batch["extra_info"] == {"image": "b"}
    assert data.non_tensor_batch["raw_prompt"].shape == (2,), "a list stays one value of a row"


class Reward:
    """The reward worker's handle: answers with the row's name, and keeps the size of each request."""

    def __init__(self):
        self.sizes = []
        self.compute_score_batch = SimpleNamespace(remote=self._compute)

    async def _compute(self, data):
        self.sizes.append(len(data))
        names = data.non_tensor_batch["data_source"]
        return [{"reward_score": float(name), "reward_extra_info": {"name": name}} for name in names]


def test_samples_are_scored_together_each_with_its_own_score():
    worker, reward = PromptOnceWorker.__new__(PromptOnceWorker), Reward()
    worker.reward_loop_worker_handles = [reward]
    worker._score_together = Together(worker._score, COLLECT_SECONDS)
    samples = [sample([1], [2] * length, str(length)) for length in range(1, 9)]

    async def everything():
        await asyncio.gather(*(worker._compute_score([output], row) for output, row in samples))

    asyncio.run(everything())
    assert [output.reward_score for output, _ in samples] == list(range(1, 9)) and reward.sizes == [8]
    assert [output.extra_fields["reward_extra_info"]["name"] for output, _ in samples] == list("12345678")
    samples[0][0].reward_score = 0.25
    asyncio.run(everything())
    assert samples[0][0].reward_score == 0.25 and reward.sizes == [8], "what is scored is not scored again"


@pytest.mark.parametrize(("scored", "seed"), [(True, 1), (False, None)])
def test_the_reward_reads_the_prompt_and_the_queue_keeps_none(monkeypatch, scored, seed):
    """An exception: a reward model beside the actor reads the prompt from the queue."""
    worker, drawn, read, stored = PromptOnceWorker.__new__(PromptOnceWorker), [], [], []
    worker._seed = seed

    async def answer(sampling_params: dict, **row) -> AgentLoopOutput:
        drawn.append(sampling_params)
        return sample([1], [2], "phantom")[0]

    async def score(samples: list) -> list[dict]:
        read.extend(row for _, row in samples)
        return [{"reward_score": 0.5, "reward_extra_info": {}} for _ in samples]

    async def store(self, output: AgentLoopOutput, validate: bool, **row) -> None:
        stored.append((output.reward_score, row))

    worker._single_turn = SimpleNamespace(run=answer)
    worker.reward_loop_worker_handles = [Reward()] if scored else None
    worker._score_together = Together(score, 0)
    monkeypatch.setattr(PromptOnceWorker.__base__, "_agent_loop_postprocess", store)
    row = {"raw_prompt": ["messages"], "prompt": ["messages"], "tools_kwargs": {}, "interaction_kwargs": {},
           "data_source": "phantom", "reward_model": {"ground_truth": "a"}, "uid": "u", "session_id": 0}  # fmt: skip
    sampling, trajectory = {"temperature": 0.9}, {"validate": False}
    asyncio.run(worker._run_agent_loop(sampling, trajectory, agent_name="single_turn_agent", **row))
    assert drawn == [{"temperature": 0.9, "detokenize": False, **own_seed(seed, row)}]
    assert read == [row] * scored
    left = ("data_source", "reward_model", "uid", "session_id") if scored else row
    assert stored == [(0.5 if scored else None, {column: row[column] for column in left})]


def test_each_sample_has_a_seed_of_its_own_that_another_run_repeats():
    def drawn(seed: int, step: int) -> list[int]:
        rows = [{"uid": f"{step:05}.{place:04}", "session_id": sample} for place in range(16) for sample in range(8)]
        return [own_seed(seed, row)["seed"] for row in rows]

    assert drawn(0, 1) == drawn(0, 1)
    assert len({*drawn(0, 1), *drawn(0, 2), *drawn(1, 1)}) == 3 * 16 * 8
    assert own_seed(None, {}) == {}


def test_only_pixels_get_the_type_in_which_the_policy_computes():
    inputs = {"pixel_values": torch.rand(4, 1176), "image_grid_thw": torch.tensor([[1, 2, 2]])}
    found = for_actor(inputs, torch.bfloat16)
    assert found["image_grid_thw"] is inputs["image_grid_thw"]
    assert torch.equal(found["pixel_values"], inputs["pixel_values"].bfloat16())
    assert for_actor(inputs, torch.float32)["pixel_values"] is inputs["pixel_values"]  # the CPU profile
