"""Stand-ins for sbatch, squeue and sacct: a job is a process, and its state is in a file of the folder $SLURM_TOY.

`sbatch` starts the recipe without launch/slurm.sbatch, which has its own test, or `$SLURM_TOY/job` in its place.
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("sbatch", "squeue", "sacct")


def install(folder: Path) -> dict[str, str]:
    """Write the programs into <folder>/bin; returns the environment that finds them."""
    (folder / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {name} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SLURM_TOY": str(folder)}


def calls(folder: Path, program: str) -> list[list[str]]:
    file = folder / "calls.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [words[1:] for words in lines if words[0] == program]


def sbatch(folder: Path, words: list[str]) -> None:
    script = words.index("launch/slurm.sbatch")
    output = next(word.partition("=")[2] for word in words if word.startswith("--output="))
    number = str(100 + len(calls(folder, "sbatch")))
    (folder / f"{number}.state").write_text("RUNNING")
    job = [sys.executable, str(folder / "job")] if (folder / "job").exists() else [sys.executable]
    with open(output, "a") as log:
        subprocess.Popen([sys.executable, __file__, "run", number, *job, *words[script + 1 :]], stdout=log, stderr=log,
                         start_new_session=True)  # fmt: skip
    print(f"{number};toy")


def main(program: str, *words: str) -> None:
    folder = Path(os.environ["SLURM_TOY"])
    if program == "run":
        number, *command = words
        code = subprocess.run(command).returncode
        (folder / f"{number}.state").write_text("COMPLETED" if code == 0 else "FAILED")
        return
    with (folder / "calls.jsonl").open("a") as file:
        file.write(json.dumps([program, *words]) + "\n")
    if program == "sbatch":
        sbatch(folder, list(words))
    states = {file.stem: file.read_text() for file in sorted(folder.glob("*.state"))}
    if program == "squeue":
        print("\n".join(number for number, state in states.items() if state == "RUNNING"))
    if program == "sacct":
        asked = words[-1].partition("=")[2].split(",")
        print("\n".join(f"{number}|{states[number]}" for number in asked if number in states))


if __name__ == "__main__":
    main(*sys.argv[1:])
