"""Measures what a table of short trainings takes, beside an earlier state of this project on the same machine.

    python benchmarks/table_start.py                     # twenty minutes
    python benchmarks/table_start.py --before 2111def    # another earlier revision of git

It runs the same table of eight cells twice, each cell with a training of four steps and its test: with the earlier
state, which imports everything in each stage, and with this one. It prints one JSON object and one line. Run `make
setup` first.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parents[1]
CELLS = 8
TABLE = ["table.datasets=[phantom_1,phantom_2]", "table.shots=[16]", "table.seeds=[0,1]",
         "table.rows=[{experiment:v_rft},{experiment:v_rft_pa_p}]", "schedule=tiny", "schedule.steps=4"]  # fmt: skip
BEFORE = "caeb0fe^"  # the last state in which each stage of a table made its own imports


def seconds(root: Path, folder: str) -> float:
    """The time of the table in a new folder. root: the state of the project that runs it."""
    command = [sys.executable, str(root / "recipes" / "experiments.py"), *TABLE, f"out={folder}"]
    started = time.monotonic()
    subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, check=True, stdout=sys.stderr)
    return time.monotonic() - started


def earlier(revision: str, folder: Path) -> Path:
    """The project's files as they were, in a folder."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", default=BEFORE)
    revision = parser.parse_args().before
    with tempfile.TemporaryDirectory() as folder:
        before = seconds(earlier(revision, Path(folder, "earlier")), f"{folder}/before")
        now = seconds(ROOT, f"{folder}/now")
    share = round(now / before, 2)
    print(json.dumps({"cells": CELLS, "before": revision, "seconds": {"before": round(before), "now": round(now)},
                      "share": share, "machine": machine.describe()}))  # fmt: skip
    print(f"a table of {CELLS} cells with trainings of 4 steps takes {now / 60:.1f} minutes, {share:.2f} of the "
          f"{before / 60:.1f} that revision {revision} takes; {machine.describe()}")  # fmt: skip


if __name__ == "__main__":
    main()
