"""The table of docs/recitation.md is what its command prints, and says what the page concludes from it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from documented import commands
from repository import ROOT

PAGE = ROOT / "docs" / "recitation.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def printed() -> str:
    """What the page's own command prints."""
    (command,) = (one for one in commands(PAGE) if "benchmarks/recitation.py" in one.words)
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command.words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def numbers(table: str) -> dict[str, dict[str, float]]:
    """{thought: {reading: BLEU}}."""
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return {name: dict(zip(head[1:], map(float, values), strict=True)) for name, *values in rows}


def test_the_page_shows_what_the_command_prints(printed):
    assert printed.count("\n") == 10
    assert f"<!-- benchmarks/recitation.py -->\n{printed}<!-- end -->" in TEXT, (
        "run `python benchmarks/recitation.py --write`"
    )


def test_the_page_concludes_what_the_table_says(printed):
    paid = numbers(printed)
    by_prompt = {name: values["prompt"] for name, values in paid.items()}
    by_block = {name: values["knowledge (the default)"] for name, values in paid.items()}
    entry, both = "the entry of neutrophil, word for word", "the entry of neutrophil, then own reasoning"
    instructions, own = "the instructions alone, word for word", "own reasoning"
    assert by_prompt[instructions] > by_prompt[both] > by_prompt[own] > by_prompt[entry]
    assert by_prompt[own] < 0.02 and by_prompt[entry] < 0.02
    assert by_block[both] > by_block[own] > by_block[entry] > by_block[instructions]
    assert by_block["the whole knowledge, word for word"] == 1.0
    for reading in ("classes", "knowledge, no brevity penalty"):
        assert paid[entry][reading] == 1.0 and paid[own][reading] > by_block[own]
    assert set(paid["nothing"].values()) == {0.0}


@pytest.mark.parametrize("reference", ["knowledge", "prompt"])
@pytest.mark.parametrize("recipe", ["grpo", "evaluate"])
def test_reciting_names_is_refused_in_one_line(recipe, reference, tmp_path):
    words = [sys.executable, f"recipes/{recipe}.py", "dataset=phantom_grade", "prompt=names", "objective=recite_pos",
             f"objective.grading.recitation.reference={reference}", f"parquet={tmp_path / 'rows'}",
             f"out={tmp_path / 'out'}"]  # fmt: skip
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: objective: grading.recitation: the prompt has no knowledge to recite; prepare the data with "
        "prompt=knowledge, or choose an objective without recitation\n"
    )
    assert not (tmp_path / "out").exists()
