"""Who has reviewed an entry: `review=true` lists what nobody has, `accept=` writes a name and a date into the file."""

import re
import subprocess
import sys

import pytest
import yaml
from repository import ROOT

from vrft_aug.data.knowledge import reading, review
from vrft_aug.errors import InputError

PLAIN = "# mine\nnegative: even texture without a spot\npositive: a dark spot\n"
BANK = """dataset: toy  # a toy
classes:
  # the first
  ring:
    description: a hollow circle
    attributes: {color: bright, shape: null, texture: null, location: null}
    confidence: low
    sources: []
    review: draft  # by hand
  "filled, disc": {description: a filled disc, confidence: low, sources: [], review: literature-checked,
    attributes: {color: null, shape: null, texture: null, location: null}}
sources: {}
"""


@pytest.fixture
def bank(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(BANK)
    return path


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(PLAIN)
    return path


def recipe(*overrides, cwd):
    command = [sys.executable, str(ROOT / "recipes" / "knowledge.py"), *overrides]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def signed(path, name):
    entry = reading.read(path)["classes"][name]
    return entry["review"], entry.get("reviewed_by"), entry.get("reviewed_on")


def test_accepting_changes_one_entry_and_no_other_line(bank, monkeypatch):
    monkeypatch.setattr(review, "today", lambda: "2026-01-31")
    assert review.accept(bank, "ring", 'A. "B" Ünal').endswith("1 of 2 entries have no reviewer")
    assert signed(bank, "ring") == ("expert-reviewed", 'A. "B" Ünal', "2026-01-31")
    new, old = bank.read_text().splitlines(), BANK.splitlines()
    place = old.index("    review: draft  # by hand")
    assert new[:place] == old[:place] and new[place + 3 :] == old[place + 1 :]
    assert "# by hand" in new[place + 2]


def test_an_entry_on_one_line_is_accepted_too(bank):
    review.accept(bank, "filled, disc", "A. Name")
    assert signed(bank, "filled, disc") == ("expert-reviewed", "A. Name", review.today())
    assert signed(bank, "ring") == ("draft", None, None)
    assert bank.read_text().count("# ") == BANK.count("# ")


def test_all_accepts_what_nobody_has_reviewed(bank):
    review.accept(bank, "ring", "A. First")
    assert "filled, disc: reviewed by B. Second; 0 of 2" in review.accept(bank, "all", "B. Second")
    assert [signed(bank, name)[1] for name in ("ring", "filled, disc")] == ["A. First", "B. Second"]
    with pytest.raises(InputError, match=r"toy.yaml: every entry has a reviewer"):
        review.accept(bank, "all", "C")


def test_a_file_of_one_line_per_class_becomes_a_bank(plain):
    review.accept(plain, "positive", "A. Name")
    content = yaml.safe_load(plain.read_text())
    assert content["classes"]["positive"]["description"] == "a dark spot" and signed(plain, "positive")[1] == "A. Name"
    assert signed(plain, "negative")[0] == "draft"


@pytest.mark.parametrize(("name", "by", "message"), [
    ("disc", "A", r"toy.yaml: accept=disc: no such class; use one of ring, filled, disc, or all"),
    ("ring", "  ", r"by is empty"),
])
def test_what_cannot_be_accepted_changes_nothing(bank, name, by, message):
    with pytest.raises(InputError, match=message):
        review.accept(bank, name, by)
    assert bank.read_text() == BANK


def test_a_reviewed_entry_is_not_accepted_again(bank):
    review.accept(bank, "ring", "A. First")
    before = bank.read_text()
    with pytest.raises(InputError, match=rf"A\. First reviewed 'ring' on {review.today()}"):
        review.accept(bank, "ring", "B. Second")
    assert bank.read_text() == before


@pytest.mark.parametrize("line", ["review: expert-reviewed", "review: expert-reviewed\n    reviewed_by: A",
                                  "review: draft\n    reviewed_by: A\n    reviewed_on: 2026-01-01"])
def test_a_reviewed_entry_has_a_name_and_a_date_and_others_have_none(bank, line):
    bank.write_text(BANK.replace("review: draft", line))
    with pytest.raises(InputError, match=r"toy\.yaml: \$\.classes\.ring.*review"):
        reading.read(bank)


def test_entries_without_a_reviewer_are_counted(bank):
    assert reading.unreviewed(reading.read(bank)) == (2, 2)
    review.accept(bank, "ring", "A. Name")
    assert reading.unreviewed(reading.read(bank)) == (1, 2)


def test_the_bank_is_listed_with_what_nobody_has_read():
    lines = review.drafts(sorted(reading.BANK.glob("*.yaml")))
    assert any(line.startswith("tissue / Podocytes (low)") and "Young14" in line for line in lines)
    assert re.fullmatch(r"\d+ of (\d+) entries are drafts; \1 of \1 have no reviewer", lines[-1])


def test_the_recipe_lists_and_accepts_any_file(bank, plain, tmp_path):
    done = recipe("review=true", "out=toy.yaml", cwd=tmp_path)
    assert done.stdout.splitlines() == ["toy / ring (low): a hollow circle; color: bright",
                                        "1 of 2 entries are drafts; 2 of 2 have no reviewer"], done.stderr
    own = ["dataset=folder", "+dataset.knowledge=own.yaml"]
    assert recipe("accept=positive", "by=A. Name", *own, cwd=tmp_path).returncode == 0
    done = recipe("review=true", *own, cwd=tmp_path)
    assert done.stdout.splitlines()[0].startswith("own / negative") and "1 of 2 have no reviewer" in done.stdout
    done = recipe("accept=positive", "by=B. Name", *own, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "A. Name reviewed 'positive'" in done.stderr


@pytest.mark.parametrize("asked", ["review=true", "accept=0", "endpoint.model=any"])
def test_knowledge_of_the_config_is_neither_drafted_nor_reviewed(tmp_path, asked):
    done = recipe("dataset=phantom_grade", asked, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == ("error: dataset=phantom_grade has its knowledge in its config (dataset.knowledge), so there "
                           "is nothing to draft or to review; choose another data set, or name a file with out=\n")


def test_a_missing_file_of_a_data_set_is_named_in_full(tmp_path):
    done = recipe("review=true", "dataset=folder", "+dataset.knowledge=none.yaml", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{tmp_path / 'none.yaml'}: no knowledge file" in done.stderr
    assert "from the folder where the command runs" in done.stderr
