"""Measures what class probabilities cost: evaluation with them against greedy answers alone, in the same run.

    python benchmarks/class_probabilities.py                  # 256 phantoms of 4 diseases
    python benchmarks/class_probabilities.py --classes 11

The tiny policy answers the same images both ways, in turns; its engine forgets prompts and images before each turn, and
the first round only warms up. The fastest round of each counts, since other programs can only slow one down; beside it
stand the seconds of all cores. Reading rows, loading the policy and metrics are part of neither. At most twice the time
is allowed. The line also says how often the most probable class is the greedy answer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import machine
import numpy as np
import pandas as pd

from vrft_aug.configs import compose
from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import preflight
from vrft_aug.evaluation.answers.predict import predict, read_rows
from vrft_aug.rewards import compose as compose_objective
from vrft_aug.tiny import shipped

ROOT = Path(__file__).resolve().parents[1]
BAR = 2
CLOCKS = {"wall": time.perf_counter, "cores": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=4, help="number of diseases, 2 to 11")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = measure(prepared(options.classes, options.images), options.rounds)
    print(json.dumps({"machine": machine.describe(), **vars(options), **found}))
    ratio, cores = (found[f"weighed_{of}"] / found[f"greedy_{of}"] for of in CLOCKS)
    print(f"{options.images} images, {options.classes} classes: greedy answers {found['greedy_wall']:.1f} s, with "
          f"class probabilities {found['weighed_wall']:.1f} s, {ratio:.2f} times (bar: {BAR}), "
          f"{cores:.2f} times the seconds of all cores; the most probable class is the answer for "
          f"{100 * found['agreement']:.1f} %; {machine.describe()}")  # fmt: skip


def prepared(classes: int, images: int) -> pd.DataFrame:
    """Rows of phantoms, with knowledge in the prompt."""
    with tempfile.TemporaryDirectory() as folder:
        few = [f"dataset.loader.{split}={number}" for split, number in {"train": 64, "val": 64, "test": images}.items()]
        subprocess.run([sys.executable, str(ROOT / "recipes" / "prepare.py"), f"dataset.loader.diseases={classes}",
                        "prompt=knowledge", f"out={folder}/rows", *few], cwd=ROOT, check=True)  # fmt: skip
        return read_rows(Path(folder) / "rows", "test")


def measure(rows: pd.DataFrame, rounds: int) -> dict[str, float]:
    """Seconds of the fastest round by each clock, and the share of answers that are the most probable class."""
    config = compose("evaluate", ["policy=tiny", "parquet=unused", "out=unused"])
    preflight.prepare_environment(config.hardware)
    from vrft_aug.evaluation.answers.generation import Generator  # only now: vLLM reads the environment

    policy, objective = Policy.of(config.policy), compose_objective("accuracy")
    generator = Generator(str(shipped.FOLDER), policy, config.hardware, config.sampling, seed=0)
    seconds: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds + 1):
        for name, weigher in {"greedy": None, "weighed": generator}.items():
            generator.forget()
            start = {of: clock() for of, clock in CLOCKS.items()}
            table = predict(rows, objective, partial(generator.answer, say=print), weigher)
            for of, clock in CLOCKS.items() if turn else ():
                seconds[f"{name}_{of}"].append(round(clock() - start[of], 2))
    best = [names[np.argmax(found)] for names, found in zip(table["classes"], table["probabilities"], strict=True)]
    return {name: min(values) for name, values in seconds.items()} | {
        "agreement": float(np.mean(best == table["prediction"]))
    }


if __name__ == "__main__":
    main()
