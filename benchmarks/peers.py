"""Compares a GRPO step of the CPU profile with its peers: TRL's GRPOTrainer, and bare vLLM for the rollout.

    python benchmarks/peers.py                 # both sizes, half an hour; --sizes tiny: five minutes
    python benchmarks/peers.py --trl-bfloat16  # TRL with bfloat16 autocast, its default

All three use the same policy, images, prompts, number of samples, temperature, length limit and KL coefficient, in
float32 on the same threads; only the gradients of our large layers come from products in bfloat16, where the processor
has them (vrft_aug/engine/cpu/bfloat16_gradients.py). The policy's language model is random, so that nearly every answer
runs to the limit. TRL generates with transformers, which is its default. The figures are medians over all steps but the
first. `start` is the time from the start of the process to the end of its first step.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from unittest import mock

import machine
import psutil
from omegaconf import OmegaConf
from step import ROOT, recipe, steps_of

from vrft_aug.configs import compose

PROMPTS, SAMPLES, TEMPERATURE, KL = 16, 8, 0.9, 0.04
SIZES = {  # name -> new tokens, steps, TRL's micro-batches (one of all would take 23 GB), language model (None: tiny's)
    "tiny": (64, 6, 1, None),
    "30m": (256, 3, 4, dict(hidden_size=512, intermediate_size=2048, num_hidden_layers=8, num_attention_heads=8,
                         num_key_value_heads=2)),
}  # fmt: skip
HARDWARE = OmegaConf.to_container(compose("grpo", ["hardware=cpu"]).hardware, resolve=True)


def make_policy(size: str, folder: Path) -> Path:
    """A policy with random weights that never writes a vision token, which vLLM would take for a missing image."""
    from vrft_aug.tiny import model as tiny
    from vrft_aug.tiny import tokenizer as words

    processor, text = tiny.make_processor(words.train_tokenizer(words.read_corpus())), SIZES[size][-1]
    changed: dict = {"set_heads": lambda *_: None}
    if text is not None:
        rotary = dict(rope_type="default", rope_theta=1e6, mrope_section=[8, 12, 12])
        changed |= {"TEXT": tiny.TEXT | text | {"rope_parameters": rotary},
                    "VISION": tiny.VISION | {"out_hidden_size": text["hidden_size"]}}  # fmt: skip
    with mock.patch.multiple(tiny, **changed):
        model = tiny.make_model(processor.tokenizer, seed=0)
    tiny.silence(model, processor.tokenizer)
    model.save_pretrained(folder / size)
    processor.save_pretrained(folder / size)
    return folder / size


def of_verl(policy: Path, rows: Path, tokens: int, steps: int) -> dict:
    """recipes/grpo.py: seconds of each part of a step, and of the start."""
    out = rows.parent / f"grpo-{policy.name}"
    command = [sys.executable, str(ROOT / "recipes/grpo.py"), f"parquet={rows}", f"policy.path={policy}", f"out={out}",
               f"policy.max_response_length={tokens}", f"policy.max_length={704 + tokens}", "keep=last",
               f"schedule.batch_size={PROMPTS}", f"schedule.mini_batch_size={PROMPTS}", f"schedule.steps={steps}",
               f"schedule.save_freq={steps}", "schedule.test_freq=-1", "trainer.val_before_train=false"]  # fmt: skip
    started, metrics = time.monotonic(), out / "metrics.jsonl"
    process, start = subprocess.Popen(command, cwd=ROOT), None
    while process.poll() is None:
        if start is None and metrics.exists() and '"step"' in metrics.read_text():
            start = time.monotonic() - started
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"error: grpo ended with {process.returncode}")
    records = steps_of(out)
    parts = {key: median(r[key] for r in records) for key in records[0] if key.startswith("timing_s/")}
    return {"start": start, "tokens": median(r["response_length/mean"] for r in records),
            **{key.removeprefix("timing_s/"): seconds for key, seconds in parts.items()}}  # fmt: skip


def of_trl(policy: Path, rows: Path, tokens: int, steps: int, micro_batches: int, bfloat16: int) -> dict:
    import datasets
    import trl
    from transformers import AutoProcessor, TrainerCallback

    from vrft_aug.rewards.adapters.trl import objective_reward

    ends, lengths = [], []

    class Clock(TrainerCallback):
        def on_step_end(self, *_, **__):
            ends.append(time.time())

        def on_log(self, *_, logs=None, **__):
            lengths.extend(logs[key] for key in logs if key == "completions/mean_length")

    images = datasets.Dataset.from_parquet(str(rows / "trl_train.parquet"))
    images = images.cast_column("images", datasets.Sequence(datasets.Image()))
    batch = PROMPTS * SAMPLES
    trainer = trl.GRPOTrainer(
        model=str(policy), processing_class=AutoProcessor.from_pretrained(policy, padding_side="left"),
        reward_funcs=partial(objective_reward, objective="accuracy"), train_dataset=images, callbacks=[Clock()],
        args=trl.GRPOConfig(
            output_dir=str(rows.parent / "trl"), num_generations=SAMPLES,
            per_device_train_batch_size=batch // micro_batches, gradient_accumulation_steps=micro_batches,
            max_completion_length=tokens, temperature=TEMPERATURE, beta=KL, learning_rate=3e-4, max_steps=steps,
            model_init_kwargs={"dtype": "float32"}, bf16=bool(bfloat16), gradient_checkpointing=False, use_cpu=True,
            logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True),
    )  # fmt: skip
    trainer.train()
    return {"start": ends[0] - psutil.Process().create_time(), "tokens": median(lengths),
            "step": median(b - a for a, b in itertools.pairwise(ends))}  # fmt: skip


def of_vllm(policy: Path, rows: Path, tokens: int, steps: int) -> dict:
    import io

    import pandas as pd
    from PIL import Image
    from vllm import LLM, SamplingParams

    vllm = HARDWARE["vllm"]
    llm = LLM(str(policy), dtype="float32", enforce_eager=True, max_num_seqs=vllm["max_num_seqs"], seed=0,
              max_model_len=704 + tokens, max_num_batched_tokens=vllm["max_num_batched_tokens"],
              kv_cache_memory_bytes=vllm["kv_cache_bytes"], block_size=vllm["kv_block_tokens"],
              limit_mm_per_prompt={"image": 1, "video": 0})  # fmt: skip
    sampling = SamplingParams(n=SAMPLES, temperature=TEMPERATURE, max_tokens=tokens, logprobs=0)
    table = pd.read_parquet(rows / "train.parquet")
    seconds, lengths = [], []
    for step in range(steps):  # new prompts each time: nothing is found in a cache
        batch = table.iloc[step * PROMPTS : (step + 1) * PROMPTS]
        requests = []
        for row in batch.itertuples():
            prompt = f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{row.extra_info['prompt']}"
            picture = Image.open(io.BytesIO(row.images[0]["bytes"])).convert("RGB")
            requests.append({"prompt": prompt + "<|im_end|>\n<|im_start|>assistant\n",
                             "multi_modal_data": {"image": picture}})  # fmt: skip
        started = time.monotonic()
        answers = llm.generate(requests, sampling, use_tqdm=False)
        seconds.append(time.monotonic() - started)
        lengths += [len(sample.token_ids) for answer in answers for sample in answer.outputs]
    return {"rollout": median(seconds[1:]), "tokens": sum(lengths) / len(lengths)}


def apart(peer: str, *arguments: object) -> dict:
    """The figures of a peer, measured in a process of its own with the CPU profile's environment."""
    environment = os.environ | {name: str(value) for name, value in HARDWARE["env"].items()} | {"VERL_PLATFORM": ""}
    done = subprocess.run([sys.executable, __file__, "--peer", peer, *map(str, arguments)], cwd=ROOT, env=environment,
                          stdout=subprocess.PIPE, text=True, check=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def compare(size: str, rows: Path, trl_bfloat16: bool) -> dict:
    tokens, steps, micro_batches, _ = SIZES[size]
    job = make_policy(size, rows.parent), rows, tokens, steps
    ours, trl, vllm = of_verl(*job), apart("trl", *job, micro_batches, int(trl_bfloat16)), apart("vllm", *job)
    ratios = {"step_to_trl": ours["step"] / trl["step"], "start_to_trl": ours["start"] / trl["start"],
              "rollout_to_vllm": ours["gen"] / vllm["rollout"]}  # fmt: skip
    return {"size": size, "new_tokens": tokens, "ratios": ratios, "ours": ours, "trl": trl, "vllm": vllm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--trl-bfloat16", action="store_true", help="TRL with bfloat16 autocast, its default")
    parser.add_argument("--peer", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer, policy, rows, *numbers = arguments.peer
        print(json.dumps({"trl": of_trl, "vllm": of_vllm}[peer](Path(policy), Path(rows), *map(int, numbers))))
        return
    with tempfile.TemporaryDirectory() as name:
        rows = Path(name) / "rows"
        recipe("prepare", "dataset=phantom", "export=trl", f"out={rows}")
        results = [compare(size, rows, arguments.trl_bfloat16) for size in arguments.sizes]
    print(json.dumps({"machine": machine.describe(), "samples": PROMPTS * SAMPLES, "results": results}))
    for result in results:
        ours, trl, vllm, ratios = (result[key] for key in ("ours", "trl", "vllm", "ratios"))
        print(f"{result['size']}, {result['new_tokens']} new tokens: step {ours['step']:.1f} s, "
              f"{ratios['step_to_trl']:.2f} of TRL's {trl['step']:.1f}; rollout {ours['gen']:.1f} s, "
              f"{ratios['rollout_to_vllm']:.2f} of bare vLLM's {vllm['rollout']:.1f}; to the end of the first step "
              f"{ours['start']:.0f} s, {ratios['start_to_trl']:.2f} of TRL's {trl['start']:.0f}; "
              f"{machine.describe()}")  # fmt: skip


if __name__ == "__main__":
    main()
