"""Measures what class probabilities cost: evaluation with them against greedy answers alone, in the same run.

    python benchmarks/class_probabilities.py                  # 256 phantoms of 4 diseases
    python benchmarks/class_probabilities.py --classes 11

The tiny policy answers the same images both ways, in turns; its engine forgets prompts and images before each turn, and
the first round only warms up. Reading rows, loading the policy and metrics are not part of either time. At most twice
the time is allowed. The line also says how often the most probable class is the greedy answer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=4, help="number of diseases, 2 to 11")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = measure(prepared(options.classes, options.images), options.rounds)
    print(json.dumps({"machine": machine.describe(), **vars(options), **found}))
    print(f"{options.images} images, {options.classes} classes: greedy answers {found['greedy']:.1f} s, with class "
          f"probabilities {found['weighed']:.1f} s, {found['ratio']:.2f} times (bar: {BAR}); the most probable class "
          f"is the answer for {100 * found['agreement']:.1f} %; {machine.describe()}")  # fmt: skip


def prepared(classes: int, images: int) -> pd.DataFrame:
    """Rows of phantoms, with knowledge in the prompt."""
    with tempfile.TemporaryDirectory() as folder:
        few = [f"dataset.loader.{split}={number}" for split, number in {"train": 64, "val": 64, "test": images}.items()]
        subprocess.run([sys.executable, str(ROOT / "recipes" / "prepare.py"), f"dataset.loader.diseases={classes}",
                        "prompt=knowledge", f"out={folder}/rows", *few], cwd=ROOT, check=True)  # fmt: skip
        return read_rows(Path(folder) / "rows", "test")


def measure(rows: pd.DataFrame, rounds: int) -> dict[str, float]:
    """Medians over the rounds, in seconds, and their ratio; the share of answers that are the most probable class."""
    config = compose("evaluate", ["policy=tiny", "parquet=unused", "out=unused"])
    preflight.prepare_environment(config.hardware)
    from vrft_aug.evaluation.answers.generation import Generator  # only now: vLLM reads the environment

    policy, objective = Policy.of(config.policy), compose_objective("accuracy")
    generator = Generator(str(shipped.FOLDER), policy, config.hardware, config.sampling, seed=0)
    answer = partial(generator.answer, say=print)
    seconds: dict[str, list[float]] = {"greedy": [], "weighed": []}
    for turn in range(rounds + 1):
        for name, weigher in {"greedy": None, "weighed": generator}.items():
            generator.forget()
            start = time.perf_counter()
            table = predict(rows, objective, answer, weigher)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    best = [names[np.argmax(found)] for names, found in zip(table["classes"], table["probabilities"], strict=True)]
    medians = {name: median(values) for name, values in seconds.items()}
    ratio = medians["weighed"] / medians["greedy"]
    return medians | {"ratio": ratio, "agreement": float(np.mean(best == table["prediction"]))}


if __name__ == "__main__":
    main()
