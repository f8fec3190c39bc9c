"""Shows where a GRPO training of the CPU profile spends its time, by process and by function.

    python benchmarks/profile_step.py                # 20 seconds of steps of 16 prompts x 8 samples, tiny policy
    python benchmarks/profile_step.py --seconds 60

The first table is the start: when each process began, and the CPU seconds that it had used when the first step ended.
The second is the steps after it: the share of one core that each process used. py-spy watches the busiest of them
without stopping them, and for each the functions are listed in which it was found computing most often.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import machine
import psutil
from step import ROOT, recipe

WATCHED, FUNCTIONS = 4, 8  # processes, and functions of each
LOOK_SECONDS = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe("prepare", f"out={folder / 'rows'}")
        training = start(folder)
        try:
            began = until_first_step(training, folder)
            found = {"start": began, "steps": steps(training, folder, seconds)}
        finally:
            training.terminate()
            training.wait()
    print(json.dumps({"machine": machine.describe(), **found}))
    for title, seconds_of, cpu in began:
        print(f"start: {title} began after {seconds_of:.1f} s and had used {cpu:.1f} s of CPU at the first step's end")
    for title, share, functions in found["steps"]:
        print(f"steps: {title} used {share:.0%} of a core" + "".join(f"\n    {n:4.0%} {f}" for f, n in functions))
    print(machine.describe())


def start(folder: Path) -> psutil.Popen:
    return psutil.Popen(
        [sys.executable, str(ROOT / "recipes/grpo.py"), f"parquet={folder / 'rows'}", f"out={folder / 'run'}",
         "schedule=tiny", "schedule.steps=1000", "schedule.save_freq=1000", "schedule.test_freq=-1",
         "trainer.val_before_train=false"], cwd=ROOT, stdout=subprocess.DEVNULL)  # fmt: skip


def until_first_step(training: psutil.Popen, folder: Path) -> list[tuple[str, float, float]]:
    """Title, second of its beginning and CPU seconds of each process, in the order in which they began."""
    metrics = folder / "run" / "metrics.jsonl"
    while not (metrics.exists() and '"step"' in metrics.read_text()):
        if training.poll() is not None:
            sys.exit("error: the training ended before its first step")
        time.sleep(LOOK_SECONDS)
    zero = training.create_time()
    found = [(title, one.create_time() - zero, cpu_seconds(one)) for one, title in family(training)]
    return sorted(found, key=lambda one: one[1])


def steps(training: psutil.Popen, folder: Path, seconds: int) -> list[tuple[str, float, list[tuple[str, float]]]]:
    """Title, share of a core, and [(function, share of the looks)] of the busiest processes."""
    before = {one: cpu_seconds(one) for one, _ in family(training)}
    time.sleep(seconds / 2)
    used = {one: cpu_seconds(one) - then for one, then in before.items() if one.is_running()}
    busiest = sorted(used, key=lambda one: -used[one])[:WATCHED]
    titles = dict(family(training))
    looks = [subprocess.Popen(
        [str(Path(sys.executable).with_name("py-spy")), "record", "--nonblocking", "-p", str(one.pid), "-d",
         str(seconds), "-f", "raw", "-o", str(folder / f"{one.pid}.txt")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for one in busiest]  # fmt: skip
    for look in looks:
        look.wait()
    return [(titles[one], used[one] / (seconds / 2), functions(folder / f"{one.pid}.txt")) for one in busiest]


def functions(stacks: Path) -> list[tuple[str, float]]:
    """The innermost functions of a file of py-spy, most frequent first, with their share of all looks."""
    counts: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        counts[re.sub(r":\d+\)$", ")", stack.rpartition(";")[2])] += int(number)
    return [(name, number / counts.total()) for name, number in counts.most_common(FUNCTIONS)]


def family(training: psutil.Popen) -> list[tuple[psutil.Process, str]]:
    """The processes of the training with their titles."""
    found = []
    for one in [psutil.Process(training.pid), *training.children(recursive=True)]:
        try:
            found.append((one, " ".join(one.cmdline())[:60].strip() or one.name()))
        except psutil.Error:
            continue  # it has just ended
    return found


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
