"""The sheet of reporting items: each item once, what is known filled in, the rest left to the author."""

import json
from pathlib import Path

import pandas as pd
import pytest
from toy_checklists import ANSWERS, TRUTH, checked_cell, tables
from toy_runs import predictions, write_evaluation

from vrft_aug.configs import compose
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.evaluation.report.checklist.checklist_items import AUTHOR, read
from vrft_aug.evaluation.report.checklist.checklist_sheet import CHECKLISTS, FILLERS, NAME, write_sheet
from vrft_aug.evaluation.report.text_table import interval

SIZES = [f"dataset.loader.{split}={size}" for split, size in (("train", 24), ("val", 8), ("test", 16))]
LLM = {1: "", 2: "", 3: "ab", 4: "", 5: "abcde", 6: "abcde", 7: "abcde", 8: "abc", 9: "ab", 10: "", 11: "", 12: "",
       13: "", 14: "abcdef", 15: "", 16: "abcd", 17: "", 18: "", 19: "abcdefg"}  # fmt: skip
BY_AUTHOR = ["13", "14a", "14b", "15", "3a", "19a"]  # ethics, funding, conflicts, public, context, interpretation


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rows")
    prepare(compose("prepare", ["dataset=phantom_grade", "seed=3", f"out={out}", *SIZES]), None)
    return out


def test_each_item_is_there_once(tmp_path: Path):
    claim, llm = tables(write_evaluation(tmp_path / "run", "run", predictions(TRUTH, ANSWERS)))
    for edition, last in ((0, 44), (1, 42)):
        numbers = [key.split()[edition] for key in claim]
        assert sorted(int(number) for number in numbers if number != "–") == list(range(1, last + 1))
    assert list(llm) == [f"{number}{letter}" for number, letters in LLM.items() for letter in letters or [""]]


def test_every_item_names_a_filler_or_the_author():
    items = [item for name in CHECKLISTS for item in read(name).items]
    used = {item.fill for item in items}
    assert used - {AUTHOR} == set(FILLERS)
    assert all(item.author for item in items if item.fill == AUTHOR)
    assert all(len(item.numbers) == len(read(name).editions) for name in CHECKLISTS for item in read(name).items)


def test_known_values_are_filled_in(tmp_path: Path, rows: Path):
    folder = checked_cell(tmp_path, parquet=str(rows), image_tokens={"least": 16, "most": 16})
    accuracy = json.loads((folder / "test" / "metrics.json").read_text())["toy/grading"]["accuracy"]
    shown = interval(accuracy, 100).replace(" (", " % (")
    claim, llm = tables(folder)
    expected = {
        "19 20": ["train 24, val 8, test 16", "the loader phantom", "protocol=full", "seed=3"],
        "20 21": ["no group is in two splits", "100 test images of 100 groups", "0 exact, 0 near (leakage=warn)"],
        "21 19": ["24 for training, 8 for validation", "100 test images"],
        "7 7": ["source: vrft_aug/data/datasets/phantom.py", "licence: none needed"],
        "9 9": ["16 visual tokens per image"],
        "23 23": ["verl 0.9.1", "commit abc123"],
        "25 25": ["reinforcement fine-tuning (GRPO): steps 20", "objective accuracy"],
        "26 26": ["step 10 of 20: the best of the saved steps by val-core/*/acc/mean@*"],
        "30 30": [f"as tested: {shown}", "accuracy, shuffled: "],
        "33 32": ["none in this run: training and test images are of phantom_grade"],
        "37 35": ["100 test images", f"accuracy {shown}", "constant answer 0 60.0 %"],
        "38 36": ["recall of each class: 0 83.3 %"],
        "39 37": ["10 of 0 as 1", "rejected answers: no answer 2"],
    }
    missing = {key: part for key, parts in expected.items() for part in parts if part not in claim[key][-1]}
    assert missing == {}
    assert "logistic regression on pixels: 60.0 %" in llm["7e"][-1] and f"this policy: {shown}" in llm["7e"][-1]
    assert "run" in llm["17"][2] and str(tmp_path) not in (folder / NAME).read_text()


def test_what_a_run_cannot_know_says_author(tmp_path: Path):
    claim, llm = tables(write_evaluation(tmp_path / "run", "run", predictions(TRUTH, ANSWERS)))
    assert {number: llm[number][2] for number in BY_AUTHOR} == dict.fromkeys(BY_AUTHOR, "author")
    assert claim["44 42"][2:] == ["author", "<strong>author:</strong> funding and role of funders"]
    left = [row for row in [*claim.values(), *llm.values()] if row[2] == "author"]
    assert len(left) > 30 and all("<strong>author:</strong>" in row[3] for row in left)
    assert "not in this run" in claim["19 20"][3], "no manifest was found"
    assert all("<strong>author:</strong>" not in row[3] for row in claim.values() if row[2] == "run")


@pytest.mark.parametrize("name", ["a | b", "<script>alert(1)</script>", "<b>x", "![x](y)", "*x* _y_ `z`",
                                  "back\\|slash\\", "first\n| 1 | 1 | forged |\n\nsecond", "&lt;b&gt;",
                                  "~~gone~~ $x$"])  # fmt: skip
def test_hostile_names_stay_text(tmp_path: Path, name: str):
    rows = predictions([name] * 6 + ["other"] * 4, ["other"] * 10, classes=[name, "other"], task="classification")
    facts = {"experiment": name, "dataset": name, "policy_name": name, "git_commit": name, "versions": {name: name}}
    folder = write_evaluation(tmp_path / "run", "run", rows, **facts)
    claim, _ = tables(folder)
    shown = " ".join(name.split())
    html = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"6 of {html} as other" in claim["39 37"][3]
    assert f"{html} {html}; commit {html}" in claim["23 23"][3]


def test_probabilities_slices_readers_and_validation(tmp_path: Path):
    folder = write_evaluation(tmp_path / "run", "run", predictions(TRUTH, ANSWERS), dataset="toy")
    write_evaluation(folder / "validation", "toy", predictions(TRUTH, TRUTH))
    write_evaluation(folder / "blur_1", "toy", predictions(TRUTH, ["0"] * 100))
    share = {"value": 0.75, "low": 0.7, "high": 0.8}
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["toy/grading"] |= {
        "probabilities": {"auroc": share, "auroc_of": {"0": share}, "sensitivity_at_90_specificity": share},
        "slices": {"sex": {"F": {"n": 70, "accuracy": share}, "M": {"n": 30}, "worst": "F", "gap": share}},
        "readers": {"reader_r": {"accuracy": share}},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    claim, llm = tables(folder)
    assert "from probabilities: auroc 0.75 (0.70–0.80)" in claim["37 35"][3]
    assert "sensitivity at 90 % specificity 75.0 % (70.0–80.0)" in claim["38 36"][3]
    assert claim["36 34"][3].startswith("test images by sex: F 70, M 30")
    assert claim["18 18"][3].startswith("reader r accuracy 75.0 % (70.0–80.0)")
    assert "validation split: 100.0 %" in claim["32 –"][3] and "test split" in claim["32 –"][3]
    assert "blur 1: 60.0 %" in llm["19e"][3] and "log-probability" in llm["6e"][3]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path):
    folder = checked_cell(tmp_path)
    assert write_sheet(folder).read_bytes() == write_sheet(folder).read_bytes()


def test_a_box_and_several_data_sets(tmp_path: Path):
    boxes = predictions(["[0, 0, 9, 9]"] * 4, ["[0, 0, 9, 9]"] * 4, task="localization", data_source="boxes")
    grades = predictions(TRUTH, ANSWERS)
    claim, _ = tables(write_evaluation(tmp_path / "run", "run", pd.concat([boxes, grades], ignore_index=True)))
    assert claim["37 35"][3].startswith("boxes/localization: 4 test images; ")
    assert "toy/grading: 100 test images" in claim["37 35"][3] and "mean iou 1.00" not in claim["38 36"][3]
