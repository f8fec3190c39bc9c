"""The reward manager scores when it is loaded and called as verl does."""

import asyncio
import threading

import pytest
from reward_rows import BOX, BREAST, COUNTING, KNOWLEDGE, PIXELS, RETINA, think

from vrft_aug.errors import InputError
from vrft_aug.rewards.objective import load

verl = pytest.importorskip("verl")
np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
from omegaconf import OmegaConf  # noqa: E402
from verl.trainer.ppo.metric_utils import process_validation_metrics  # noqa: E402
from verl.trainer.ppo.reward import load_reward_manager  # noqa: E402

SAMPLES = [  # all have one data source, to show that the tasks stay apart
    (BREAST, "malignant", think(r"\boxed{malignant}", KNOWLEDGE[0])),
    (BREAST, "malignant", think(r"\boxed{benign}")),
    (RETINA, "2", think(r"\boxed{3}")),
    (RETINA, "2", "nonsense"),
    (PIXELS, BOX, think(f"<answer>{BOX}</answer>")),
    (PIXELS, BOX, think("<answer>[0, 0, 1, 1]</answer>")),
]


class Utf8Tokenizer:
    """A tokenizer with one token per byte, which notes the thread that decoded last."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids, skip_special_tokens: bool) -> str:
        self.thread = threading.current_thread()
        return bytes(int(i) for i in ids).decode()


def verl_config(objective: dict | None, steps: int = -1):
    """steps: of the training, where verl's trainer writes them; -1 is verl's default."""
    manager = {
        "source": "importlib",
        "name": "TaskRewardManager",
        "module": {"path": "pkg://vrft_aug.rewards.adapters.verl"},
    }
    reward = {"reward_manager": manager, "custom_reward_function": {"path": None, "name": None}}
    actor = {"actor": {"optim": {"total_training_steps": steps}}}
    return OmegaConf.create({"reward": reward, "objective": objective, "actor_rollout_ref": actor})


def make(objective: str, tokenizer: object, steps: int = -1):
    config = verl_config(load(objective), steps)
    return load_reward_manager(config, tokenizer, reward_router_address=None, reward_model_tokenizer=None)


def rollout(row: dict, truth: str, response: str, padding: int = 7, step: int = 1):
    """One rollout as verl's agent loop passes it: right-padded, with the row's columns and the step."""
    ids = list(response.encode())
    prompt = [1, 2, 3]
    columns = {"data_source": "mixed", "reward_model": {"ground_truth": truth}, "extra_info": row, "global_steps": step}
    return verl.DataProto.from_single_dict(
        {
            "prompts": torch.tensor([prompt]),
            "responses": torch.tensor([ids + [0] * padding]),
            "attention_mask": torch.tensor([[1] * (len(prompt) + len(ids)) + [0] * padding]),
            **{key: np.array([value], dtype=object) for key, value in columns.items()},
        }
    )


def score_all(objective: str, tokenizer: object = None) -> list[dict]:
    manager = make(objective, tokenizer or Utf8Tokenizer())

    async def gather():
        return await asyncio.gather(*(manager.run_single(rollout(*sample)) for sample in SAMPLES))

    return asyncio.run(gather())


def test_scores_are_the_equations():
    scores = [result["reward_score"] for result in score_all("mfrs")]
    assert scores == pytest.approx([1.0, 0.1, 0.9 / 4 + 0.1, 0.0, 1.0, 0.1])


def test_keys_are_the_same_and_verl_averages_each_part_over_its_own_rows():
    infos = [result["reward_extra_info"] for result in score_all("mfrs")]
    assert len({tuple(info) for info in infos}) == 1
    columns = {key: [info[key] for info in infos] for key in infos[0]}
    metrics = process_validation_metrics(["mixed"] * 6, list("abcdef"), columns)["mixed"]
    assert metrics["accuracy"]["mean@1"] == 1 / 2
    assert metrics["mfrs"]["mean@1"] == (1 / 4 + 0) / 2
    assert metrics["iou"]["mean@1"] == 1 / 2
    assert metrics["acc"]["mean@1"] == 2 / 6
    assert not {"prediction", "rejected", "task"} & set(metrics)  # texts are not averaged
    assert "reward" not in infos[0]


def test_length_prediction_reason_and_recitation_are_logged():
    first, second, *_ = (result["reward_extra_info"] for result in score_all("accuracy"))
    assert first["response_length"] == len(SAMPLES[0][2])
    assert (first["prediction"], second["prediction"], second["rejected"]) == ("malignant", "benign", "not a class")
    assert first["knowledge_bleu"] > 0.2 > second["knowledge_bleu"]
    assert score_all("accuracy")[4]["reward_extra_info"]["knowledge_bleu"] is None


@pytest.mark.parametrize(("findings", "right"), [("", None), (KNOWLEDGE[0], 1.0), ("a round mass", 0.0)])
def test_the_thought_is_logged_and_not_paid(findings: str, right: float | None):
    row, truth, response = SAMPLES[0]
    manager = make("accuracy", Utf8Tokenizer())
    result = asyncio.run(manager.run_single(rollout(row | {"findings": findings}, truth, response)))
    assert result["reward_extra_info"]["thought_right"] == right
    assert result["reward_score"] == asyncio.run(manager.run_single(rollout(row, truth, response)))["reward_score"]


def test_a_reward_gets_the_length_without_padding():
    manager = make("accuracy", Utf8Tokenizer())
    manager.objective = COUNTING
    result = asyncio.run(manager.run_single(rollout(RETINA, "2", "two bytes", padding=5)))
    assert result["reward_score"] == len("two bytes")


def test_scoring_leaves_the_event_loop_free():
    tokenizer = Utf8Tokenizer()
    score_all("accuracy", tokenizer)
    assert tokenizer.thread is not threading.main_thread()


def test_a_threshold_tightens_with_the_step_and_validation_has_its_last_value():
    manager = make("iou_tightening", Utf8Tokenizer(), steps=9)

    def threshold(split: str, step: int) -> float:
        sample = rollout(PIXELS | {"split": split}, BOX, SAMPLES[4][2], step=step)
        return asyncio.run(manager.run_single(sample))["reward_extra_info"]["iou_threshold"]

    assert [threshold("train", step) for step in (1, 3, 5, 9, 10)] == pytest.approx([0.3, 0.525, 0.75, 0.75, 0.75])
    assert [threshold("val", step) for step in (0, 1, 9)] == [0.75] * 3


def test_a_schedule_needs_the_number_of_steps():
    with pytest.raises(InputError, match=r"^objective: its schedule needs the number of steps: set actor_rollout_ref"):
        make("iou_tightening", Utf8Tokenizer())


@pytest.mark.parametrize("objective", [None, {"grading": {"format": {"weight": 1}}}])
def test_a_missing_or_malformed_objective_stops_at_the_start(objective: dict | None):
    with pytest.raises(InputError, match="objective"):
        load_reward_manager(verl_config(objective), Utf8Tokenizer())
