"""Starts recipes/watch.py as a program of its own, and asks it what its page would ask."""

import json
import re
import subprocess
import sys
import urllib.request

from repository import ROOT


class Watching:
    """The page's server of a folder; at the end of its context it has ended. url: the address that it prints."""

    def __init__(self, *overrides: str) -> None:
        command = [sys.executable, str(ROOT / "recipes" / "watch.py"), *overrides]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def __enter__(self) -> "Watching":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return json.load(answer)

    def runs(self) -> dict[str, dict]:
        """Name -> state of each run."""
        return {one["name"]: one for one in self.ask("state")["runs"]}

    def steps(self, key: str) -> list[int]:
        """The steps of a run that have rollouts of the training; none of their files is damaged."""
        found = self.ask(f"runs/{key}/index")["steps"]
        assert not any(one["error"] for one in found)
        return [one["step"] for one in found if one["split"] == "train"]

    def end(self) -> tuple[int, str, str]:
        """Wait until it has ended: exit code, further output, errors."""
        out, errors = self.process.communicate(timeout=30)
        return self.process.returncode, out, errors
