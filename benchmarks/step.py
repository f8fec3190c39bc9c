"""Measures a GRPO step of the CPU profile: cost against work, the share of scoring, and the time of each part.

    python benchmarks/step.py                      # 8, 16, 32 and 64 prompts of 8 samples: 64 to 512 samples per step
    python benchmarks/step.py --prompts 256        # one step of the paper's size, for the share of scoring
    python benchmarks/step.py --ranks 2            # also the largest size on two FSDP workers, which share the cores

Each size is a run of recipes/grpo.py from the tiny policy on phantoms; the figures are medians over all steps but the
first. Scoring is the CPU time that the reward workers spent, beside the generation time of the same run. Keeping
rollouts is what they add to a step: it waits until they are read and until TensorBoard has them, and a thread writes
them meanwhile.
Each line compares the time per sample with the smallest size's: 1.00 where cost is proportional to work.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import machine

from vrft_aug.engine.run import rollouts_file

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("gen", "old_log_prob", "ref", "keep_rollouts", "track_rollouts", "update_actor", "update_weights", "step")


def recipe(name: str, *overrides: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides], cwd=ROOT, check=True)


def steps_of(folder: Path) -> list[dict]:
    records: dict[int, dict] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        records.setdefault(record["step"], {}).update(record["data"])
    return [records[step] for step in sorted(records) if step > 1] or [records[max(records)]]


def seconds_of_writing(run: Path, step: int) -> float:
    """The CPU time of writing the groups of a step again."""
    groups = rollouts_file.read(run, step, "train")
    started = time.thread_time()
    rollouts_file.write(run, groups, megabytes=64)
    return time.thread_time() - started


def measure(folder: Path, prompts: int, steps: int, ranks: int = 1) -> dict:
    out = folder / f"prompts-{prompts}-ranks-{ranks}"
    recipe("grpo", f"parquet={folder / 'rows'}", f"out={out}",
           f"trainer.total_training_steps={steps}", f"trainer.save_freq={steps}", "trainer.test_freq=-1", "keep=last",
           "trainer.val_before_train=false", f"schedule.batch_size={prompts}",
           f"schedule.mini_batch_size={prompts}", f"hardware.devices_per_node={ranks}",
           f"hardware.env.CUDA_VISIBLE_DEVICES='{','.join(['-1'] * ranks)}'")  # fmt: skip
    records = steps_of(out)
    parts = {part: round(median(record[f"timing_s/{part}"] for record in records), 3) for part in PARTS
             if f"timing_s/{part}" in records[0]}  # fmt: skip
    samples = prompts * 8
    keeping = parts["keep_rollouts"] + parts["track_rollouts"] + seconds_of_writing(out, steps)
    scoring = median(record["reward/classification/scoring_seconds"] for record in records) * samples
    return {"samples": samples, "ranks": ranks, "steps": len(records), "seconds": parts,
            "scoring_seconds": round(scoring, 3), "scoring_share_of_generation": round(scoring / parts["gen"], 4),
            "rollouts_share_of_step": round(keeping / parts["step"], 4),
            "tokens_a_response": round(median(record["response_length/mean"] for record in records), 1)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--ranks", type=int, default=1, help="FSDP workers in a last run of the largest size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe("prepare", f"out={folder / 'rows'}")
        results = [measure(folder, prompts, arguments.steps) for prompts in arguments.prompts]
        if arguments.ranks > 1:
            results.append(measure(folder, max(arguments.prompts), arguments.steps, arguments.ranks))
    print(json.dumps({"machine": machine.describe(), "results": results}))
    first = results[0]
    for result in results:
        per_sample = result["seconds"]["step"] / result["samples"]
        print(f"{result['samples']} samples, FSDP workers {result['ranks']}: "
              f"{result['seconds']['step']:.1f} s a step, "
              f"{per_sample / (first['seconds']['step'] / first['samples']):.2f} of the smallest's time a sample; "
              f"scoring {100 * result['scoring_share_of_generation']:.2f} % of generation, "
              f"keeping rollouts {100 * result['rollouts_share_of_step']:.2f} % of a step; "
              f"{machine.describe()}")  # fmt: skip


if __name__ == "__main__":
    main()
