"""Measures rewards per second on one core, beside bare sacrebleu in the same run.

    python benchmarks/rewards.py            # one minute; prints a line and JSON
    python benchmarks/rewards.py --memory   # also the growth of resident memory over 100,000 recitation scores

Responses have 200 tokens and the knowledge block has 300 (sacrebleu's 13a tokens). Every response is new, as in
training. Seconds are CPU seconds of this process. The rounds of all measurements alternate and the median counts, so
that other work on the machine has little effect, and the same effect on all.
"""

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import sacrebleu

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.objective import FOLDER, compose
from vrft_aug.rewards.recitation import references

VOCABULARY = [f"{a}{b}{c}" for a in "bdglmnrst" for b in "aeiou" for c in ("", "n", "st", "ral", "mo")]
CLASSES = ["basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"]
LABELS = ("classification", "grading")  # the tasks that can recite
ROUNDS, CALLS = 7, 200
STEP = 256 * 8
THOUGHT = 180  # words; with tags, answer and confidence 200 tokens
SURE = " <confidence>0.9</confidence>"


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(VOCABULARY, k=words))


def rows(rng: random.Random) -> dict[str, tuple[dict, str, str]]:
    """For each task the row's extra_info, its ground truth and the right answer."""
    text = {"knowledge": [sentence(rng, 58) for _ in CLASSES]}  # with name and colon: 5 x 60 = 300 tokens
    read = {"readers": [{"name": "R", "value": "2"}, {"name": "D", "value": "3"}]}
    sizes = {"image_size": [600, 450], "frame_size": [602, 448]}
    return {
        "classification": ({"task": "classification", "classes": CLASSES, **text}, "monocyte", r"\boxed{monocyte}"),
        "grading": ({"task": "grading", "classes": list("01234"), **text, **read}, "2", r"\boxed{3}"),
        "localization": (
            {"task": "localization", "classes": CLASSES, **text, **sizes},
            "[10, 20, 300, 400]",
            "<answer>[10, 20, 301, 398]</answer>",
        ),
        "detection": (
            {"task": "detection", "classes": CLASSES, **text, **sizes},
            "[[10, 20, 100, 100], [200, 20, 300, 100], [10, 200, 100, 300], [200, 200, 300, 300]]",
            "<answer>[[10, 20, 101, 98], [200, 20, 300, 99], [10, 200, 100, 300], [400, 200, 500, 300]]</answer>",
        ),
    }


def per_second(score: Callable[[str], object], responses: list[str]) -> float:
    start = time.process_time()
    for response in responses:
        score(response)
    return len(responses) / (time.process_time() - start)


def measure(seed: int = 0) -> dict[str, float]:
    """Median calls per second of sacrebleu and of each objective on each task."""
    rng = random.Random(seed)
    data = rows(rng)
    reference = list(references(data["classification"][0], "knowledge"))
    scorers = {("sacrebleu", "sentence_bleu"): (lambda text: sacrebleu.sentence_bleu(text, reference), "")}
    for name in sorted(path.stem for path in FOLDER.glob("*.yaml")):
        objective = compose(name)
        for task, (row, truth, answer) in data.items():
            call = lambda text, r=row, t=truth, o=objective: compute_score("benchmark", text, t, r, o)  # noqa: E731
            scorers[name, task] = (call, answer)
    speeds: dict[tuple, list[float]] = {key: [] for key in scorers}
    for _ in range(ROUNDS):
        for key, (call, answer) in scorers.items():
            responses = [f"<think>{sentence(rng, THOUGHT)}</think> {answer}{SURE}" for _ in range(CALLS)]
            speeds[key].append(per_second(call, responses))
    return {"/".join(key): median(values) for key, values in speeds.items()}


def resident_growth(calls: int = 100_000) -> float:
    """MiB of resident memory that `calls` recitation scores add after a warm-up."""
    rng = random.Random(1)
    row, truth, answer = rows(rng)["classification"]
    resident = []
    for _ in range(2):
        for _ in range(calls if resident else 2_000):
            response = f"<think>{rng.random()} {sentence(rng, THOUGHT)}</think> {answer}{SURE}"
            compute_score("benchmark", response, truth, row, "recite_neg")
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return (resident[1] - resident[0]) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memory", action="store_true", help="also measure memory over 100,000 calls")
    arguments = parser.parse_args()
    speeds = measure()
    recitations = {key: value for key, value in speeds.items() if "recite" in key and key.endswith(LABELS)}
    others = [value for key, value in speeds.items() if key not in recitations and not key.startswith("sacrebleu")]
    bare = speeds["sacrebleu/sentence_bleu"]
    result = {
        "machine": {"platform": platform.platform(), "processor": platform.machine(), "cpus": os.cpu_count()},
        "per_second_one_core": {key: round(value) for key, value in speeds.items()},
        "recitation_over_sacrebleu": round(min(recitations.values()) / bare, 2),
        "slowest_other_objective": round(min(others)),
        "seconds_for_256x8_recitation": round(STEP / min(recitations.values()), 2),
    }
    grown = ""
    if arguments.memory:
        result["mib_grown_over_100000_calls"] = round(resident_growth(), 1)
        grown = f"; memory grew by {result['mib_grown_over_100000_calls']} MiB over 100,000 calls"
    print(json.dumps(result, indent=2))
    print(
        f"recitation {min(recitations.values()):.0f}/s, {result['recitation_over_sacrebleu']} x bare sacrebleu "
        f"({bare:.0f}/s); the others at least {min(others):.0f}/s{grown}; {platform.machine()}, {os.cpu_count()} CPUs"
    )


if __name__ == "__main__":
    main()
