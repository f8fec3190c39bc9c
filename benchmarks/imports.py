"""Times the imports of a run's workers, with Python's search for garbage and without it (vrft_aug/engine/imports.py).

    python benchmarks/imports.py        # two minutes; medians of processes that take turns
"""

import os
import subprocess
import sys
import time
from statistics import median

import machine
from peers import HARDWARE
from step import ROOT

ROUNDS = 5
CODE = """
import contextlib, importlib, sys
from vrft_aug.engine.cpu import fork_server
from vrft_aug.engine.imports import uncollected
with uncollected() if sys.argv[1] == "without" else contextlib.nullcontext():
    for name in (*fork_server.BEFORE_RAY, *fork_server.PRELOAD):
        importlib.import_module(name)
"""


def main() -> None:
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(ROUNDS + 1):
        for how, taken in seconds.items():
            taken.append(timed(how))
    searching, not_searching = (median(taken[1:]) for taken in seconds.values())  # the first fills the disk's cache
    print(f"imports of a run's workers: {not_searching:.1f} s without a search for garbage, "
          f"{not_searching / searching:.2f} of {searching:.1f} s; {machine.describe()}")  # fmt: skip


def timed(how: str) -> float:
    environment = os.environ | {name: str(value) for name, value in HARDWARE["env"].items()}
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", CODE, how], cwd=ROOT, env=environment, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    return time.monotonic() - started


if __name__ == "__main__":
    main()
