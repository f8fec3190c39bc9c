"""The commands that README.md, CONTRIBUTING.md, docs/ and launch/README.md show, and the recipes that each one runs."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT

BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


@dataclass(frozen=True)
class Command:
    """One line of a ```bash block; `words` as the shell splits it, without its comment."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)


def pages() -> list[Path]:
    """README first: its commands build what the pages after it may use."""
    first = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "launch" / "README.md"]
    return [*first, *sorted((ROOT / "docs").rglob("*.md"))]


def commands(page: Path) -> list[Command]:
    """Every command of a page's bash blocks, in order."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                found.append(Command(str(page.relative_to(ROOT)), tuple(words)))
    return found


def parts(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The commands that a line joins by `&&` or `|`, without the variables that it sets before them."""
    found: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|", ";"):
            found.append([])
        elif found[-1] or not ASSIGNMENT.fullmatch(word):
            found[-1].append(word)
    return [tuple(part) for part in found if part]


def made_by(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What `make <target> <variables>` would run, by its dry run. Raises CalledProcessError for an unknown target."""
    dry = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    lines = dry.stdout.replace("\\\n", " ").splitlines()
    return [part for line in lines for part in parts(tuple(shlex.split(line, comments=True)))]


def recipes(words: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """(recipe, overrides) of each recipe that a command runs, directly or through make, sbatch or a Ray job."""
    if words[0] == "make":
        return [one for part in made_by(words) for one in recipes(part) if part[0] != "make"]
    for place, word in enumerate(words):
        if match := re.fullmatch(r"(?:.*/)?recipes/(\w+)\.py", word):
            return [(match[1], [one for one in words[place + 1 :] if "=" in one])]
    return []
