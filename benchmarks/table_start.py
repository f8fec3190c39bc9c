"""Measures what a table of short trainings gains from making the imports once.

    python benchmarks/table_start.py

It runs the same table of eight cells twice, each with a training of four steps and its test: first with a new Python
per stage (`warm=false`), then with forks of one process. Every process of a stage is new in both, and so is its engine.
It prints one JSON object and one line. Run `make setup` first.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parents[1]
CELLS = 8
TABLE = ["table.datasets=[phantom_1,phantom_2]", "table.shots=[16]", "table.seeds=[0,1]",
         "table.rows=[{experiment:v_rft},{experiment:v_rft_pa_p}]", "schedule=tiny", "schedule.steps=4"]  # fmt: skip


def seconds(folder: str, warm: bool) -> float:
    """The time of the table in a new folder."""
    command = [sys.executable, str(ROOT / "recipes" / "experiments.py"), *TABLE, f"out={folder}", f"warm={warm}"]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return time.monotonic() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        times = {name: seconds(f"{folder}/{name}", warm) for name, warm in (("cold", False), ("warm", True))}
    share = times["warm"] / times["cold"]
    print(json.dumps({"cells": CELLS, "seconds": {name: round(value) for name, value in times.items()},
                      "share": round(share, 2), "machine": machine.describe()}))  # fmt: skip
    print(f"a table of {CELLS} cells with trainings of 4 steps takes {share:.2f} of the time without common imports "
          f"({times['warm'] / 60:.1f} of {times['cold'] / 60:.1f} minutes); {machine.describe()}")


if __name__ == "__main__":
    main()
