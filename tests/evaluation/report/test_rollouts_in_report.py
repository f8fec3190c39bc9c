"""The rollouts of a report: what is chosen within the bound, and what a person sees without a server."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from toy_rollouts import answer, group, write_picture_rows, write_rollouts
from toy_runs import cell_facts, predictions, write_evaluation

from vrft_aug.engine.run import rollouts_file
from vrft_aug.evaluation.report.page.embedded_rollouts import LARGEST, STEPS, embedded, spread
from vrft_aug.evaluation.report.report import write_report
from vrft_aug.evaluation.runs import training_of

HOSTILE = "</script><img src=http://192.0.2.1/x onerror=alert(2)><script>alert(1)</script>"


def size(data: dict) -> int:
    return len(json.dumps(data))


def test_steps_are_spread_evenly_with_the_ends():
    assert spread([1, 2, 3], 5) == [1, 2, 3] and spread(list(range(9)), 5) == [0, 2, 4, 6, 8]
    assert spread([1, 2, 3], 1) == [3] and spread([], 1) == []


def test_all_of_a_short_training_is_embedded_and_an_image_once(tmp_path):
    rows = write_picture_rows(tmp_path / "rows")
    trainings = [training_of(write_rollouts(tmp_path / name, 3, rows)) for name in ("one", "two")]
    found = embedded(trainings)
    assert [run["name"] for run in found["runs"]] == ["one", "two"]
    assert [(one["step"], one["split"]) for one in found["runs"][1]["steps"]] == [
        (step, split) for step in (1, 2, 3) for split in ("train", "val")]  # fmt: skip
    assert len(found["images"]) == 5  # three rows of training and two of validation, for both runs
    assert len(found["runs"][0]["asked"]) == 1
    first = found["runs"][0]["groups"]["1/train"][0]
    assert found["images"][first["image"]]["width"] == 96 and len(first["answers"]) == 3


def long_run(folder: Path, rows: Path | None, steps: int = 60) -> Path:
    text = "a long thought about this image. " * 60
    run = write_rollouts(folder, 1, rows)
    for step in range(1, steps + 1):
        groups = [group(step, row, [], answers=[answer("ring", "ring", text)] * 8) for row in range(4)]
        rollouts_file.write(run, groups, 64)
        if step % 10 == 0:
            rollouts_file.write(run, [group(step, 0, ["ring"], "val")], 64)
    return run


def test_a_long_training_keeps_evenly_spread_steps_within_the_bound(tmp_path):
    run = training_of(long_run(tmp_path / "run", write_picture_rows(tmp_path / "rows")))
    for largest in (LARGEST, 400_000, 250_000):
        found = embedded([run], largest)
        trained = [one["step"] for one in found["runs"][0]["steps"] if one["split"] == "train"]
        validated = [one["step"] for one in found["runs"][0]["steps"] if one["split"] == "val"]
        assert size(found) <= largest * 1.02 and validated == [1, 10, 20, 30, 40, 50, 60]
        assert trained[0] == 1 and trained[-1] == 60 and len(trained) <= STEPS
        assert f"(at most {largest / 1e6:.1f} MB" in found["reading"]
    assert len(trained) < 10


def test_a_damaged_file_is_named_and_a_run_without_rollouts_too(tmp_path):
    torn = write_rollouts(tmp_path / "torn", 2)
    rollouts_file.path_of(torn, 1, "train").write_bytes(b"none")
    old = write_rollouts(tmp_path / "old", 0)
    (old / "metrics.jsonl").write_text("")
    found = embedded([training_of(torn), training_of(old)])
    assert "00001.train.parquet" in found["runs"][0]["steps"][0]["error"]
    assert "Without rollouts: old" in found["reading"]
    assert "No images" in found["runs"][0]["note"]
    assert embedded([training_of(old)]) is None


@pytest.fixture
def report(tmp_path: Path) -> Path:
    rows = write_picture_rows(tmp_path / "rows")
    for name in ("before", "after"):
        write_rollouts(tmp_path / "runs" / name, 3, rows)
    odd = group(4, 3, [], source_id=HOSTILE, answers=[answer(HOSTILE, "x", HOSTILE)], text=HOSTILE, truth=HOSTILE)
    rollouts_file.write(tmp_path / "runs" / "after", [odd], 64)
    write_report([tmp_path / "runs"], tmp_path / "report", None, Console(quiet=True))
    return tmp_path / "report" / "report.html"


@pytest.fixture
def page(browser, report):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    page.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {report.as_uri()}


def test_the_tab_shows_groups_with_keys_and_links(page, report):
    assert page.locator("nav a", has_text="Rollouts").count() == 1
    assert "MB of this page" in page.locator("#rollouts").inner_text()
    page.locator("#rollouts select[name=run]").first.select_option(label="before")
    page.locator(".group h3", has_text="Step 3, training: train_0").wait_for()
    page.wait_for_function("document.querySelector('.group img')?.naturalWidth === 96")
    page.keyboard.press("j")  # the focus is in a field
    assert "train_0" in page.locator(".group h3").inner_text()
    page.locator("#rollouts h2").click()
    page.keyboard.press("j")
    page.locator(".group h3", has_text="Step 3, training: train_1").wait_for()
    page.keyboard.press("2")
    page.locator(".answer.chosen").wait_for()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator(".group h3", has_text="Step 3, training: train_1").wait_for()
    assert page.locator(".answer.chosen").count() == 1
    assert page.locator("#rollouts select[name=run]").first.input_value() == re.search(r"run=(\d)", link)[1]


def test_the_film_strip_compares_two_runs(page):
    page.locator(".strip summary").click()
    page.locator(".strip tbody tr").nth(1).wait_for()
    assert sorted(page.locator(".strip tbody th").all_text_contents()) == ["after", "before"]
    page.locator(".strip select[name=image]").select_option(label="val_1")
    page.locator(".strip caption", has_text="val_1, ground truth cross").wait_for()
    assert page.locator(".strip tbody tr").first.locator(".verdict").all_text_contents() == [
        "✓ right: cross", "✗ wrong: ring", "✓ right: cross"]  # fmt: skip


def test_hostile_text_stays_text(page):
    page.locator("#rollouts select[name=run]").first.select_option(label="after")
    page.locator(".group h3", has_text="onerror").wait_for()
    assert page.locator("img[onerror], [src*='192.0.2.1']").count() == 0


@pytest.mark.slow
def test_a_report_of_a_table_of_8_cells_stays_below_15_mb(tmp_path):
    """Eight cells with 120 steps, photographs of 512 pixels, long answers, and 400 test images each."""
    rows = tmp_path / "rows"
    write_photographs(rows, 400)
    truth = [str(i % 5) for i in range(400)]
    answers = predictions(truth, truth)
    answers["response"] = "a long thought about this image, in many words. " * 60
    for number in range(8):
        cell = tmp_path / "runs" / f"cell_{number}"
        facts = cell_facts("tiny", "toy", 20 + number, "v_rft")
        run = long_run(cell / "train", rows, 120)
        record = json.loads((run / "run.json").read_text()) | facts
        (run / "run.json").write_text(json.dumps(record | {"parquet": str(rows)}))
        write_evaluation(cell / "test", "test", answers, **facts, parquet=str(rows))
    write_report([tmp_path / "runs"], tmp_path / "report", None, Console(quiet=True))
    page = (tmp_path / "report" / "report.html").read_bytes()
    assert 2e6 < len(page) < 15e6
    assert embedded([training_of(run)]) and re.search(rb"They take ([2-4]\.\d) MB of this page", page)


def write_photographs(folder: Path, count: int) -> None:
    folder.mkdir()
    for split in ("train", "val", "test"):
        table = []
        for index in range(count):
            encoded = io.BytesIO()
            noise = np.random.default_rng(index).integers(0, 255, (64, 64, 3), np.uint8)
            Image.fromarray(noise).resize((512, 512)).save(encoded, "JPEG")
            name = f"image_{index}" if split == "test" else f"{split}_{index}"
            table.append({"images": [{"bytes": encoded.getvalue(), "path": None}],
                          "extra_info": {"index": index, "source_id": name}})  # fmt: skip
        pd.DataFrame(table).to_parquet(folder / f"{split}.parquet")
