"""Runs every benchmark, one after the other, and writes what each printed into RESULTS.md.

    make bench                                     # all of them: two hours or more on two quiet cores
    python benchmarks/all.py peers.py step.py      # only these; the others keep what they printed last

Nothing else should run meanwhile. Each ratio compares two parts of one run, but another program's load may slow down
only one of them.
"""

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = [
    ("quickstart.py",),
    ("table_start.py",),
    ("peers.py",),
    ("imports.py",),
    ("arithmetic.py",),
    ("step.py", "--ranks", "2"),
    ("step.py", "--prompts", "256", "--steps", "2"),
    ("class_probabilities.py",),
    ("class_probabilities.py", "--classes", "11"),
    ("rewards.py", "--memory"),
    ("evaluation_metrics.py",),
    ("refusals.py",),
    ("data_preparation.py", "--sizes", "28"),
    ("data_preparation.py", "--sizes", "224", "--counts", "10000", "--rounds", "1"),
    ("data_preparation.py", "--sizes", "224", "--grey", "--rounds", "1"),
    ("scale.py",),
]
SECTION = re.compile(r"(?<=<!-- make bench -->\n).*(?=<!-- end -->)", re.DOTALL)
ENTRY = re.compile(r"^`(python benchmarks/.+?)`.*?\n```\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
RESULTS = HERE / "RESULTS.md"


def main() -> None:
    names = sys.argv[1:] or [name for name, *_ in BENCHMARKS]
    if unknown := set(names) - {name for name, *_ in BENCHMARKS}:
        sys.exit(f"error: no benchmark {', '.join(sorted(unknown))}: {', '.join(sorted({n for n, *_ in BENCHMARKS}))}")
    printed, failed = {}, []
    for name, *options in BENCHMARKS:
        if name not in names:
            continue
        command = " ".join(["python", f"benchmarks/{name}", *options])
        print(f"bench: {command}", flush=True)
        run = [sys.executable, str(HERE / name), *options]
        done = subprocess.run(run, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
        lines = ["failed"] if done.returncode else summary(done.stdout)
        print(*lines, sep="\n", flush=True)
        printed[command] = "\n".join([*lines, f"({date.today()})"])
        failed += [command] * bool(done.returncode)
    results = RESULTS.read_text()
    report = [f"`{command}`\n```\n{lines}\n```\n" for command, lines in (kept(results) | printed).items()]
    RESULTS.write_text(SECTION.sub(lambda _: "".join(report), results))
    if failed:
        sys.exit(f"error: failed: {'; '.join(failed)}")


def kept(results: str) -> dict[str, str]:
    """What each benchmark printed when it ran last."""
    return dict(ENTRY.findall(SECTION.search(results).group()))


def summary(output: str) -> list[str]:
    """The lines for a person at the end: those after, or else before, the last line or block of JSON."""
    lines = output.rstrip().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith(("{", "[", "}")))
    return lines[last + 1 :] or [line for line in lines[:last] if not line.startswith(("{", "["))]


if __name__ == "__main__":
    main()
