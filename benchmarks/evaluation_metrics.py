"""Measures how long all metrics of an evaluation take on one core, beside scikit-learn's AUROC alone in the same run.

    python benchmarks/evaluation_metrics.py                  # prints a line and JSON
    python benchmarks/evaluation_metrics.py --images 47280   # as many as TissueMNIST's test split

The predictions have eight grades, class probabilities, vote shares of eight samples, slices and a human reader, so
every metric of `measure` is computed, with 2,000 resamples of the bootstrap. Seconds are CPU seconds of this process
with one thread. scikit-learn's macro AUROC is timed on a few resamples, one at a time, and counted for all 2,000.
"""

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}  # before NumPy

import numpy as np
import pandas as pd
from machine import describe
from sklearn.metrics import roc_auc_score

from vrft_aug.evaluation.metrics.measure import measure

GRADES = [str(grade) for grade in range(8)]
SAMPLES, RESAMPLES, TIMED = 8, 2000, 20
BAR = 20  # seconds for 10,000 images


def predictions(images: int, rng: np.random.Generator) -> pd.DataFrame:
    """A table of an over-confident policy, whose labels follow known probabilities."""
    logits = 1.5 * rng.normal(size=(images, len(GRADES)))
    truth = (rng.random((images, 1)) > shares(logits).cumsum(1)).sum(1).clip(0, len(GRADES) - 1)
    said = shares(1.5 * logits)
    answers = said.argmax(1)
    names = [f"image_{number}" for number in range(images)]
    return pd.DataFrame({
        "data_source": "benchmark", "task": "grading", "source_id": names, "group_id": names,
        "response": [f"<think>I look.</think> \\boxed{{{answer}}}" for answer in answers],
        "prediction": answers.astype(str), "ground_truth": truth.astype(str), "rejected": "",
        "acc": (answers == truth).astype(float), "format": 1.0, "classes": [GRADES] * images, "response_length": 12,
        "probabilities": list(said), "vote_shares": list(rng.multinomial(SAMPLES, said) / SAMPLES),
        "slice_sex": rng.choice(["female", "male"], images), "slice_age": rng.choice(["0-39", "40-59", "60+"], images),
        "reader_r": rng.choice(GRADES, images),
    })  # fmt: skip


def shares(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def one_at_a_time(rows: pd.DataFrame, rng: np.random.Generator) -> float:
    """Seconds that scikit-learn's macro AUROC takes for all resamples."""
    truth, said = rows["ground_truth"].to_numpy(), np.stack(rows["probabilities"])
    draws = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), TIMED)
    return RESAMPLES / TIMED * seconds(
        lambda: [roc_auc_score(truth, said, multi_class="ovr", sample_weight=draw) for draw in draws]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    images = parser.parse_args().images
    rng = np.random.default_rng(0)
    rows = predictions(images, rng)
    ours = seconds(lambda: measure(rows, resamples=RESAMPLES, disease=GRADES[2:]))
    theirs = one_at_a_time(rows, rng)
    times = {"seconds": round(ours, 1), "seconds_of_scikit_learns_auroc": round(theirs, 1)}
    facts = {"machine": describe(), "images": images, "resamples": RESAMPLES}
    print(json.dumps(facts | times | {"ratio": round(ours / theirs, 3)}))
    bar = f" (bar: {BAR} s)" if images == 10_000 else ""
    print(f"all metrics of {images} predictions, {RESAMPLES} resamples: {ours:.1f} s on one core{bar}; "
          f"{ours / theirs:.3f} of scikit-learn's AUROC alone, {theirs:.0f} s; {describe()}")  # fmt: skip


if __name__ == "__main__":
    main()
