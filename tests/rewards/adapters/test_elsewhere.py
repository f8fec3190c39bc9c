"""EasyR1 and TRL get the same scores as verl."""

import importlib.util
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from reward_rows import BOX, BREAST, COUNTING, PIXELS, RETINA, think

from vrft_aug.errors import InputError
from vrft_aug.rewards.adapters import easyr1
from vrft_aug.rewards.adapters.trl import objective_reward

ROWS = [
    {"data_source": "breast", "reward_model": {"ground_truth": "malignant"}, "extra_info": BREAST},
    {"data_source": "retina", "reward_model": {"ground_truth": "2"}, "extra_info": RETINA},
    {"data_source": "lesion", "reward_model": {"ground_truth": BOX}, "extra_info": PIXELS},
]
RESPONSES = [think(r"\boxed{benign}"), think(r"\boxed{3}"), think(f"<answer>{BOX}</answer>")]
EXPECTED = [0.1, 0.9 / 4 + 0.1, 1.0]  # by eq. 10


def test_the_rewards_need_neither_torch_nor_verl():
    code = "import sys, vrft_aug.rewards; print({'torch', 'verl', 'vllm'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def easyr1_inputs() -> list[dict]:
    """As EasyR1's reward managers make them: response, response_length and the answer column."""
    return [
        {"response": response, "response_length": len(response.split()), "ground_truth": easyr1.answer(row)}
        for row, response in zip(ROWS, RESPONSES, strict=True)
    ]


def test_easyr1_loads_the_file_and_gets_a_score_for_each_input():
    file = Path(easyr1.__file__)
    spec = importlib.util.spec_from_file_location("custom_reward_fn", file)  # EasyR1's way to load a reward
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scores = partial(module.compute_score, objective="mfrs")(easyr1_inputs())
    assert [score["overall"] for score in scores] == pytest.approx(EXPECTED)
    assert scores[1]["mfrs"] == 1 / 4 and "iou" not in scores[1]
    assert module.REWARD_TYPE == "batch"
    metrics = {key: np.mean([s[key] for s in scores if key in s]) for key in scores[0]}  # as EasyR1 reduces them
    assert metrics["format"] == 1.0


def test_easyr1_sequential_type():
    assert easyr1.compute_score(easyr1_inputs()[2])["overall"] == pytest.approx(1.0)


def test_easyr1_s_length_reaches_a_reward():
    scores = easyr1.compute_score(easyr1_inputs(), COUNTING)
    assert [score["overall"] for score in scores] == [len(response.split()) for response in RESPONSES]


def test_easyr1_says_what_the_answer_column_must_hold():
    with pytest.raises(InputError, match=r"easyr1\.answer\(row\)"):
        easyr1.compute_score([{"response": "x", "response_length": 1, "ground_truth": "malignant"}])


def test_easyr1_answers_take_rows_of_a_parquet_reader():
    arrays = {"classes": np.array(BREAST["classes"]), "aliases": np.array([np.array(["cancer"]), None], dtype=object)}
    lists = {"classes": BREAST["classes"], "aliases": [["cancer"], None]}
    read, written = (ROWS[0] | {"extra_info": BREAST | columns} for columns in (arrays, lists))
    assert easyr1.answer(read) == easyr1.answer(written)


def test_easyr1_tells_no_step():
    with pytest.raises(InputError, match="EasyR1 does not tell a reward the step: choose an objective without"):
        easyr1.compute_score(easyr1_inputs(), "iou_tightening")


def test_a_row_keeps_its_form_elsewhere():
    row = ROWS[1] | {"extra_info": RETINA | {"form": "answer_only"}}
    for response, score in ((r"\boxed{2}", 1.0), (think(r"\boxed{2}"), 0.0)):
        inputs = {"response": response, "response_length": 3, "ground_truth": easyr1.answer(row)}
        assert easyr1.compute_score(inputs)["overall"] == pytest.approx(score)
        columns = {key: [value] for key, value in trl_row(row).items()}
        assert objective_reward([response], **columns) == pytest.approx([score])


def trl_row(row: dict) -> dict:
    return {"solution": row["reward_model"]["ground_truth"], "extra_info": row["extra_info"]}


def test_trl_contract():
    columns = [trl_row(row) for row in ROWS]
    logged = {}
    conversations = [[{"role": "assistant", "content": response}] for response in RESPONSES]
    for completions in (RESPONSES, conversations):
        scores = objective_reward(
            prompts=["p"] * 3,
            completions=completions,
            completion_ids=[[1]] * 3,
            trainer_state=None,
            log_extra=None,
            log_metric=logged.__setitem__,
            objective="mfrs",
            solution=[row["solution"] for row in columns],
            extra_info=[row["extra_info"] for row in columns],
        )
        assert scores == pytest.approx(EXPECTED)
    assert logged["reward/grading/mfrs"] == 1 / 4
    assert "reward/grading/iou" not in logged


def test_trl_s_token_ids_give_the_length():
    columns = {key: [trl_row(row)[key] for row in ROWS] for key in ("solution", "extra_info")}
    ids = [[1] * 3, [1] * 5, [1] * 7]
    assert objective_reward(completions=RESPONSES, completion_ids=ids, objective=COUNTING, **columns) == [3, 5, 7]
    assert objective_reward(completions=RESPONSES, objective=COUNTING, **columns) == [-1, -1, -1]


def test_trl_s_step_reaches_a_schedule():
    half = think("<answer>[100, 100, 200, 150]</answer>")  # IoU 0.5 exactly
    row = {"completions": [half], "solution": [BOX], "extra_info": [PIXELS | {"split": "train"}]}
    score = partial(objective_reward, objective="iou_tightening", **row)
    states = [SimpleNamespace(global_step=step, max_steps=9) for step in (0, 1, 2, 8)]
    assert [score(trainer_state=state)[0] for state in states] == pytest.approx([1.0, 1.0, 0.1, 0.1])
    with pytest.raises(InputError, match=r"does not pass \(trainer_state\): update TRL"):
        score()


def test_trl_s_own_trainer_trains_on_it(tmp_path: Path):
    """Two prompts, one step of GRPOTrainer with a policy of a few thousand parameters."""
    trl = pytest.importorskip("trl")
    datasets, tokenizers = pytest.importorskip("datasets"), pytest.importorskip("tokenizers")
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", *alphabet])}
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="<eos>")
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    policy = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(vocabulary), num_key_value_heads=2, **size))
    policy.generation_config.pad_token_id, policy.generation_config.eos_token_id = 0, 1

    seen = []

    def lengths(completion_ids: list[list[int]], **columns) -> list[float]:
        seen.extend(map(len, completion_ids))
        return objective_reward(completion_ids=completion_ids, objective=COUNTING, **columns)

    trainer = trl.GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=[partial(objective_reward, objective="mfrs"), lengths],
        train_dataset=datasets.Dataset.from_list([{"prompt": "Grade it: ", **trl_row(ROWS[1])}] * 4),
        args=trl.GRPOConfig(
            output_dir=str(tmp_path),
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            max_steps=1,
            logging_steps=1,
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
    )
    trainer.train()
    (step,) = (log for log in trainer.state.log_history if "reward" in log)
    assert step["rewards/objective_reward/mean"] == pytest.approx(0.0)  # a few random bytes hold no answer
    assert step["rewards/lengths/mean"] == pytest.approx(sum(seen) / len(seen)) and 1 <= min(seen) <= max(seen) <= 8
    assert step["reward/grading/acc"] == 0.0 and "reward/localization/iou" not in step
