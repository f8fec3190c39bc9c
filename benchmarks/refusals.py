"""Measures how soon recipes/prepare.py refuses a wrong setting, a wrong table and a wrong path.

    python benchmarks/refusals.py              # half a minute; --rounds 3: less

Each case runs the real recipe in a process of its own. The median of the rounds counts, and its ratio to a Python
process that only imports Hydra: that is the floor of every recipe, measured before each case. The script ends with an
error if a recipe does not refuse its input, if one of the table's ten mistakes is not shown, or if a refusal takes
longer than `--limit` seconds.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import machine
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = ("image", "label", "x1", "y1", "x2", "y2", "split")
FLOOR = [sys.executable, "-c", "import hydra"]
GOOD = {"label": "positive", "x1": 0, "y1": 0, "x2": 9, "y2": 9, "split": "train"}
MISTAKES = [  # one line of the table each
    {"label": "posetive"}, {"label": ""} | dict.fromkeys(COLUMNS[2:6], ""), {"split": "tests"}, {"split": ""},
    {"x1": "left"}, {"x2": 0}, {"y1": -1}, {"image": "missing.png"}, {"image": "../outside.png"},
    {"image": "0.png"},  # named by another line as well
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=3.0, help="seconds that a refusal may take")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_table(Path(scratch))
        found = measure(cases(Path(scratch)), options.rounds)
    print(json.dumps(found))
    print(f"{machine.describe()}; import of Hydra alone: {found['floor']:.2f} s")
    for name, seconds in found["cases"].items():
        print(f"{name:14} refused in {seconds:5.2f} s, {seconds / found['floor']:4.1f} times the floor")
    if slow := [name for name, seconds in found["cases"].items() if seconds > options.limit]:
        sys.exit(f"error: slower than {options.limit:g} s: {', '.join(slow)}")


def cases(root: Path) -> dict[str, list[str]]:
    return {
        "wrong setting": ["dataset=phantom", "shots=-3"],
        "wrong table": ["dataset=folder", f"data_root={root}"],
        "wrong path": ["dataset=folder", f"data_root={root / 'nowhere'}"],
        "missing npz": ["dataset=retina", f"data_root={root / 'nowhere'}"],
    }


def measure(cases: dict[str, list[str]], rounds: int) -> dict:
    """Median seconds of the floor and of each case."""
    floor: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, overrides in cases.items():
            floor.append(seconds(FLOOR, 0, 0))
            command = [sys.executable, str(ROOT / "recipes" / "prepare.py"), *overrides]
            times[name].append(seconds(command, 2, len(MISTAKES) if name == "wrong table" else 0))
    return {"floor": median(floor), "cases": {name: median(values) for name, values in times.items()}, "rounds": rounds}


def seconds(command: list[str], code: int, mistakes: int) -> float:
    """How long a command takes. It must end with this exit code and show so many lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        passed = time.perf_counter() - start
    if done.returncode != code or done.stderr.count(": line ") + done.stderr.count("; line ") != mistakes:
        sys.exit(f"error: {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return passed


def write_table(root: Path) -> None:
    """A list of twenty images, of which the last ten have one mistake each."""
    folder = root / "folder"
    folder.mkdir()
    rows = [{"image": f"{i}.png"} | GOOD for i in range(20)]
    for row, mistake in zip(rows[10:], MISTAKES, strict=True):
        row |= mistake
    for i in range(20):
        Image.new("L", (10, 10)).save(folder / f"{i}.png")
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
