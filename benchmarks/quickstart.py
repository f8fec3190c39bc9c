"""Measures time and peak memory of `make quickstart`, all its processes together.

    python benchmarks/quickstart.py

Memory is the proportional set size (PSS): a page that several processes share counts once. The script adds it up over
the process tree every five seconds, since the sampling itself takes time from two busy cores. It prints one JSON object
and one line, with the time as a share of the 8 minutes and the memory as a share of the 8 GB that the run may take. Run
`make setup` first: the set-up is not counted.
"""

import argparse
import json
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 8 * 60
LIMIT_GB = 8
SAMPLE_SECONDS = 5


def watch(pid: int, stop: threading.Event, peaks: list[int]) -> None:
    while not stop.wait(SAMPLE_SECONDS):
        peaks.append(machine.tree_pss(pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("make", nargs="*", help="variables for make, such as DATASET=retina DATA_ROOT=~/data")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = ["make", "quickstart", f"RUNS={folder}/runs", *arguments.make]
        started, stop, samples = time.monotonic(), threading.Event(), [0]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        watcher = threading.Thread(target=watch, args=(process.pid, stop, samples))
        watcher.start()
        stages: dict[str, float] = {}
        last, stage = started, "start"
        for line in process.stdout:
            print(line, end="", flush=True)
            if (found := re.match(r"(sft|grpo|evaluate) +\d+:\d\d ", line)) and found[1] != stage:
                stages[stage] = stages.get(stage, 0) + time.monotonic() - last
                last, stage = time.monotonic(), found[1]
        process.wait()
        stop.set()
        watcher.join()
    seconds, gigabytes = time.monotonic() - started, max(samples) / 1e9
    result = {
        "command": " ".join(command[:2] + arguments.make),
        "exit": process.returncode,
        "seconds": round(seconds),
        "share_of_time_limit": round(seconds / LIMIT_SECONDS, 2),
        "peak_pss_gb": round(gigabytes, 2),
        "share_of_memory_limit": round(gigabytes / LIMIT_GB, 2),
        "stages": {name: round(value) for name, value in stages.items()} | {stage: round(time.monotonic() - last)},
        "machine": machine.describe(),
    }
    print(json.dumps(result))
    print(f"quickstart: {seconds / 60:.1f} min, peak {gigabytes:.1f} GB proportional; {result['machine']}")
    raise SystemExit(process.returncode)


if __name__ == "__main__":
    main()
