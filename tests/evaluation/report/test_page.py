"""Tests the page in a headless Chromium: what a person sees and can do, and that it uses no network."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from repository import ROOT
from rich.console import Console
from toy_runs import predictions, write_cell, write_evaluation, write_rows, write_training

from vrft_aug.evaluation.report.content import Asked
from vrft_aug.evaluation.report.page import render
from vrft_aug.evaluation.report.report import write_report
from vrft_aug.experiments.cells import Table
from vrft_aug.rewards.diagnostics import MEANING

HOSTILE = "</script><script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(2)> {{ 7 * 7 }} <!-- ]]>"
TRUTH = ["0"] * 30 + ["1"] * 20 + ["2"] * 10
BEFORE = ["0"] * 60
AFTER = [label if position % 5 else "" for position, label in enumerate(TRUTH)]  # right except for 12 without an answer


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two runs on the same 60 images, one run on boxes, and two trainings."""
    folder = tmp_path_factory.mktemp("page")
    before, after = predictions(TRUTH, BEFORE), predictions(TRUTH, AFTER)
    after.loc[51, "response"] = f"<think>{HOSTILE}</think> \\boxed{{2}}"
    after.loc[52, ["prediction", "acc", "rejected"]] = [HOSTILE, 0.0, "not a class"]
    rows = {"parquet": str(write_rows(folder / "rows", before))}
    write_evaluation(folder / "runs" / "1", "before", before, **rows)
    write_evaluation(folder / "runs" / "2", "after", after, **rows)
    truth, answers = ["[2, 2, 20, 20]"] * 4, ["[2, 2, 20, 19]"] * 3 + [""]
    boxes = predictions(truth, answers, [], "localization", acc=[1, 1, 1, 0.0], data_source="boxes")
    write_evaluation(folder / "runs" / "3", "boxes", boxes, **rows)
    for name, steps in (("grpo", 30), ("mfrs", 25)):
        write_training(folder / "runs" / name, steps, signs={"top_prediction": [0.5 + 0.02 * i for i in range(steps)]})
    write_report([folder / "runs"], folder / "report", None, Console(quiet=True), images=30)
    return folder / "report" / "report.html"


@pytest.fixture
def page(browser, report: Path) -> Iterator:
    """The open page. Checks at the end that the console is empty and that no network request was made."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    page.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}


def column(page, table: str, number: int) -> list[str]:
    cells = page.locator(f"table.sortable:has(caption:text-is('{table}')) tbody tr > :nth-child({number}) .value")
    return cells.all_text_contents()


def heading(page, table: str, name: str):
    return page.locator(f"table.sortable:has(caption:text-is('{table}')) thead th", has_text=name)


def choose(page, **values: str) -> None:
    for name, label in values.items():
        page.locator(f"#filters select[name={name}]").select_option(label=label)


def test_a_click_on_a_heading_sorts(page):
    table = "Recall of each class, %: toy/grading, test split"
    after = heading(page, table, "after")
    assert after.get_attribute("aria-sort") is None
    before = column(page, table, 3)
    after.locator("button").click()
    assert after.get_attribute("aria-sort") == "descending"
    numbers = [float(cell.split()[0]) for cell in column(page, table, 3) if cell != "–"]
    assert numbers == sorted(numbers, reverse=True) and column(page, table, 3)[-1] == "–"
    after.locator("button").click()
    assert after.get_attribute("aria-sort") == "ascending"
    numbers = [float(cell.split()[0]) for cell in column(page, table, 3) if cell != "–"]
    assert numbers == sorted(numbers) and column(page, table, 3)[-1] == "–"
    assert sorted(column(page, table, 3)) == sorted(before)


def test_the_keyboard_sorts_too(page):
    table = "toy/grading, test split"
    assert column(page, table, 1) == ["before", "after"]
    heading(page, table, "Accuracy, %").locator("button").first.focus()
    page.keyboard.press("Enter")
    assert column(page, table, 1) == ["after", "before"]
    page.keyboard.press("Enter")
    assert column(page, table, 1) == ["before", "after"]


def test_filters_by_class_and_by_right_or_wrong(page):
    cards = page.locator(".card")
    assert cards.count() == 30
    assert "30 of 30 images" in page.locator("#count").inner_text()
    assert "30 of the data set's 60" in page.locator("#count").inner_text()
    choose(page, set="toy/grading, test split", other="no other run", truth="1")
    assert set(page.locator(".truth strong").all_text_contents()) == {"1"} and cards.count() == 10
    choose(page, verdict="right")
    assert cards.count() == 0  # `before` always answers 0
    choose(page, truth="all")
    assert cards.count() == 10 and page.locator(".answer.right").count() == 10
    choose(page, run="after", verdict="wrong")
    wrong = cards.count()
    assert wrong > 0 and page.locator(".answer.wrong").count() == wrong
    choose(page, verdict="all")
    assert cards.count() == 30


def test_the_first_and_the_last_run_are_side_by_side_on_the_same_images(page):
    card = page.locator(".card").first
    assert card.locator(".answer h4").all_text_contents() == ["before", "after"]
    left, right = (card.locator(".answer").nth(i).bounding_box() for i in (0, 1))
    assert right["x"] > left["x"] and right["y"] == left["y"]
    choose(page, verdict="wrong, the other run right")
    shown = page.locator(".card").count()
    assert shown > 0
    assert page.locator(".answer.wrong h4", has_text="before").count() == shown
    assert page.locator(".answer.right h4", has_text="after").count() == shown
    choose(page, other="no other run")
    assert page.locator("#filters select[name=verdict]").input_value() == "all"
    assert page.locator(".card").count() == 30


def test_images_are_shown_with_reasoning_and_rewards(page):
    choose(page, other="no other run")
    page.locator("#gallery").scroll_into_view_if_needed()
    widths = page.evaluate("[...document.querySelectorAll('.card img')].map((image) => image.naturalWidth)")
    assert widths == [28] * 30
    first = page.locator(".card").first
    assert first.locator(".thought").inner_text() == "I look."
    assert "score 1" in first.locator(".rewards").inner_text() and "12 tokens" in first.locator(".rewards").inner_text()
    first.locator("summary", has_text="Whole response").click()
    assert first.locator("pre").inner_text() == "<think>I look.</think> \\boxed{0}"


def test_a_right_answer_with_a_wrong_thought_and_the_reverse(browser, tmp_path: Path):
    rows = predictions(["0", "1", "2"], ["0", "0", "2"]).assign(findings=["one ring", "<b>two rings</b>", ""])
    write_evaluation(tmp_path / "runs", "one", rows.assign(thought_right=[0.0, 1.0, None]))
    write_report([tmp_path / "runs"], tmp_path / "report", None, Console(quiet=True))
    page = browser.new_page()
    page.goto((tmp_path / "report" / "report.html").as_uri())
    cards = page.locator(".card")
    assert [cards.nth(i).locator(".findings").all_text_contents() for i in range(3)] == [
        ["one ring"], ["<b>two rings</b>"], []]  # fmt: skip
    right, wrong = "✓ thought names the findings", "✗ thought does not name the findings"
    assert [cards.nth(i).locator(".named").all_text_contents() for i in range(3)] == [[wrong], [right], []]
    assert page.locator(".answer.right .named.wrong").count() == page.locator(".answer.wrong .named.right").count() == 1
    page.close()


def test_a_policys_answer_stays_text(page):
    choose(page, run="after")
    thoughts = page.locator(".thought").all_text_contents()
    assert HOSTILE in thoughts
    assert HOSTILE in page.locator("body").inner_text()
    assert page.locator("img[onerror], [src*='192.0.2.1']").count() == 0
    scripts = page.evaluate("[...document.scripts].map((script) => script.type)")
    assert scripts == ["application/json", ""]


def test_boxes_are_drawn_over_the_image(page):
    choose(page, set="boxes/localization, test split")
    assert page.locator(".card").count() == 4
    assert page.locator(".card .frame rect").count() == 7  # one answer has no box
    assert "White box: ground truth" in page.locator("#count").inner_text()


def test_curves_show_their_values_and_trainings_can_be_hidden(page):
    panel = page.locator(".panel", has=page.locator("h3", has_text="Training reward"))
    assert panel.locator("path.line").count() == 2
    box = panel.locator("svg").bounding_box()
    panel.locator("svg").hover(position={"x": box["width"] - 3, "y": 40})
    assert panel.locator(".values").inner_text() == "step 30: grpo 0.8"
    panel.locator("svg").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert panel.locator(".values").inner_text() == "step 25: grpo 0.7 · mfrs 0.8"
    page.locator("#curve-controls input[value=mfrs]").uncheck()
    assert page.locator(".panel path.line").count() == page.locator(".panel").count()
    sign = page.locator(".panel", has=page.locator("h3", has_text="top_prediction"))
    assert sign.locator(".bound").count() == 1
    assert MEANING["top_prediction"] in sign.locator(".meaning").inner_text()
    assert panel.locator(".meaning").count() == 0


def test_confusion_matrices(page):
    matrix = page.locator("table.matrix:has(caption:text-is('before'))")
    assert matrix.locator("tbody tr").nth(1).locator("td").all_text_contents()[:3] == ["20", "0", "0"]


def cut_tables(page) -> list[str]:
    """The labels of the tables that are wider than their boxes."""
    wide = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth)"
    return page.evaluate(f"{wide}.map((box) => box.getAttribute('aria-label'))")


def test_a_window_of_1280_pixels_shows_whole_tables(page):
    assert page.locator(".scroll").count() >= 6 and cut_tables(page) == []
    assert page.locator(".scroll.cut").count() == 0


@pytest.fixture
def wide(browser, tmp_path: Path) -> Iterator:
    """The open page of Table 1: eight data sets, and V-RFT and a variant on each."""
    spec = OmegaConf.load(ROOT / "conf" / "table" / "table1.yaml")
    for dataset in spec.datasets:
        for experiment, rows in (("v_rft", predictions(TRUTH, BEFORE)), ("v_rft_pa_p", predictions(TRUTH, AFTER))):
            objective = "mfrs" if dataset == "retina" else "accuracy"
            write_cell(tmp_path / "runs", "tiny", dataset, 10, experiment, objective, rows=rows)
    asked = Asked("table1", Table.of(OmegaConf.merge(spec, {"policy": "tiny", "larger_policy": None})))
    write_report([tmp_path / "runs"], tmp_path / "out", None, Console(quiet=True), asked, images=0)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((tmp_path / "out" / "report.html").as_uri())
    yield page
    page.close()


def test_table_1_fits_a_window_of_1280_pixels(wide):
    assert wide.locator("#paper th[scope=col]").count() == 11 and "Table 1: accuracy on MedMNIST" not in cut_tables(
        wide
    )


def test_sorting_keeps_a_delta_row_below_its_method(wide):
    table = wide.locator("#paper table")
    table.locator("thead th", has_text="blood").locator("button").click()
    methods = table.locator("tbody th").all_text_contents()
    below = [methods[i - 1] for i, method in enumerate(methods) if method.startswith("Δ")]
    assert below == ["V-RFT + PA_P"] * 3
    assert methods[:3] == ["V-RFT + PA_P", "Δ, against V-RFT", "V-RFT"]  # without sorting V-RFT is above


def test_bold_and_underlined_numbers(wide):
    styles = "[...document.querySelectorAll('#paper .{}')].map((one) => getComputedStyle(one).{})"
    assert set(wide.evaluate(styles.format("best", "fontWeight"))) == {"700"}
    assert set(wide.evaluate(styles.format("second", "textDecorationLine"))) == {"underline"}
    assert wide.locator("#paper .aside.best").count() > 0 and wide.locator("#paper .value.best").count() == 9


def test_a_table_that_is_wider_than_the_window_says_that_it_scrolls(page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.wait_for_function("document.querySelectorAll('.scroll.cut').length > 0")
    assert len(cut_tables(page)) == page.locator(".scroll.cut").count()
    hint = page.evaluate("getComputedStyle(document.querySelector('.scroll.cut'), '::before').content")
    assert "scroll sideways" in hint
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function("document.querySelectorAll('.scroll.cut').length === 0")


def test_a_number_and_its_interval_are_not_broken(page):
    page.set_viewport_size({"width": 400, "height": 800})
    heights = page.evaluate("[...document.querySelectorAll('td .whole')].map((span) => span.getClientRects().length)")
    assert set(heights) == {1}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_in_light_and_dark(browser, report: Path, scheme: str):
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 360  # tables scroll in their own boxes
    ground = _channels(page, "document.body", "backgroundColor")
    ink = _channels(page, "document.body", "color")
    surround = _channels(page, "document.querySelector('.picture')", "backgroundColor")
    assert (sum(ground) > sum(ink)) is (scheme == "light")
    assert len(set(surround)) == 1  # grey: it must not tint an image
    page.close()


def _channels(page, node: str, name: str) -> list[int]:
    return [int(value) for value in re.findall(r"\d+", page.evaluate(f"getComputedStyle({node}).{name}"))[:3]]


def test_the_page_names_no_address(report: Path):
    text = report.read_text()
    without_data = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S)
    assert re.findall(r"(?:https?:)?//[\w.]", without_data.replace("http://www.w3.org/2000/svg", "")) == []
    assert "Content-Security-Policy" in text and "default-src 'none'" in text


def test_the_data_cannot_end_its_script(report: Path):
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', report.read_text(), re.S)[1]
    assert "<" not in data and HOSTILE in json.dumps(json.loads(data), ensure_ascii=False)


def test_a_page_that_is_too_large_shows_fewer_images_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = predictions(TRUTH, BEFORE).assign(response="x" * 3000)
    write_evaluation(tmp_path / "runs" / "1", "before", rows)
    monkeypatch.setattr(render, "LARGEST", 150_000)
    write_report([tmp_path / "runs"], tmp_path / "out", None, Console(quiet=True))
    page = (tmp_path / "out" / "report.html").read_text()
    assert len(page.encode()) <= 150_000
    (shown,) = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["gallery"]
    assert len(shown["images"]) in (12, 6) and "fewer than 48 images" in shown["notes"][-1]
