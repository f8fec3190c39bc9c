"""The page beside a training in a headless Chromium: what a person sees and can do, and that it uses no network."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_site import Site
from toy_rollouts import answer, group, write_picture_rows, write_rollouts, write_step

from vrft_aug.engine.run import rollouts_file

HOSTILE = "</script><img src=http://192.0.2.1/x onerror=alert(2)><script>alert(1)</script> {{ 7 * 7 }}"
SOON = 5000  # milliseconds in which a step must be seen


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_picture_rows(tmp_path_factory.mktemp("rows"))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def site(runs: Path) -> Iterator[Site]:
    site = Site(runs)
    yield site
    site.stop()


@pytest.fixture
def page(browser, site: Site) -> Iterator:
    """A page to open. Checks at the end that nothing went wrong in it and that it asked its own server alone."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.said = said
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == []


def heading(page) -> str:
    return page.locator(".group h3").inner_text()


def shows(page, text: str, wait: int = SOON) -> None:
    page.locator(".group h3", has_text=text).wait_for(timeout=wait)


def test_opened_before_the_training_it_shows_each_new_step_soon(page, site, runs, rows):
    page.goto(site.url)
    page.locator("#waiting", has_text="does not exist yet").wait_for()
    run = write_rollouts(runs / "run", 0, rows, state="running", steps=3)
    page.locator("#states tbody tr", has_text="run").wait_for(timeout=SOON)
    for step in (1, 2, 3):
        write_step(run, step)
        shows(page, f"Step {step}, training")
        assert page.locator("#states td", has_text=f"{step} of 3").count() == 1
    page.locator("#curves .panel", has_text="Training reward").wait_for(timeout=SOON)
    assert "above 0.9" in page.locator("#warnings").inner_text()


def test_a_resumed_training_goes_on_in_the_same_view(page, site, runs, rows):
    run = write_rollouts(runs / "run", 3, rows)
    page.goto(site.url)
    shows(page, "Step 3")
    rollouts_file.drop_after(run, 1)
    shows(page, "Step 1")
    rollouts_file.write(run, [group(2, 3, ["cross"] * 4)], 64)
    shows(page, "Step 2, training: train_3")
    assert page.locator(".group .answer").count() == 4


def set_state(run: Path, state: str) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"state": state}))


def test_in_a_table_the_page_moves_on_to_the_next_training(page, site, runs, rows):
    first = write_rollouts(runs / "a", 1, rows, state="running", started="2026-01-01T00:00:00Z", host="elsewhere")
    page.goto(site.url)
    shows(page, "Step 1")
    set_state(first, "finished")
    page.locator("#states .state-finished").wait_for(timeout=SOON)
    write_rollouts(runs / "b", 2, rows, state="running", started="2026-01-02T00:00:00Z", host="elsewhere")
    shows(page, "Step 2")
    assert page.locator("#states tr[aria-current]").inner_text().startswith("b")
    page.locator("#rollouts select[name=run]").select_option(label="a")  # by hand: it stays
    shows(page, "Step 1")
    write_step(runs / "b", 3)
    page.locator("#states tr", has_text="3 of").wait_for(timeout=SOON)
    page.wait_for_timeout(SOON)
    assert "Step 1" in heading(page)


def test_a_training_ends_and_who_reads_an_earlier_step_is_left_there(page, site, runs, rows):
    first = write_rollouts(runs / "a", 2, rows, state="running", started="2026-01-01T00:00:00Z", host="elsewhere")
    page.goto(site.url)
    shows(page, "Step 2")
    page.keyboard.press("h")
    shows(page, "Step 1")
    set_state(first, "finished")
    page.locator("#states .state-finished").wait_for(timeout=SOON)
    write_rollouts(runs / "b", 2, rows, state="running", started="2026-01-02T00:00:00Z", host="elsewhere")
    page.locator("#states tbody tr", has_text="running").wait_for(timeout=SOON)
    page.wait_for_timeout(SOON)
    assert "Step 1" in heading(page) and page.locator("#states tr[aria-current]").inner_text().startswith("a")


def test_a_group_is_shown_with_its_image_its_rewards_and_what_it_recites(page, site, runs, rows):
    write_rollouts(runs / "run", 2, rows)
    page.goto(site.url)
    shows(page, "Step 2, training: train_0")
    cards = page.locator(".group .answer")
    assert cards.locator(".verdict").all_text_contents() == ["✓ right: ring", "✗ wrong: cross", "✓ right: ring"]
    assert cards.locator(".score").all_text_contents() == ["score 1", "score 0.1", "score 1"]
    assert cards.nth(0).locator(".parts li").all_text_contents() == ["accuracy +0.9", "format +0.1"]
    width = "(all) => all.map((one) => Number(one.getAttribute('width')))"
    widths = cards.nth(0).locator(".bar rect").evaluate_all(width)
    assert widths == pytest.approx([180, 20])
    assert "advantage +0.5 · 25 tokens · KL 0.01 nats per token" in cards.nth(0).inner_text()
    assert cards.nth(0).locator("mark").all_text_contents() == ["two bright rings in the centre"]
    page.wait_for_function("document.querySelector('.group img')?.naturalWidth === 96")
    assert "Which shape?" in page.locator(".group details").text_content()


def test_keys_move_through_prompts_steps_and_answers(page, site, runs, rows):
    write_rollouts(runs / "run", 3, rows)
    page.goto(site.url)
    shows(page, "Step 3, training: train_0")
    for key, expected in (("j", "Step 3, training: train_1"), ("j", "train_2"), ("j", "train_2"), ("k", "train_1"),
                          ("h", "Step 2, training: train_1"), ("ArrowLeft", "Step 1, training: train_1"),
                          ("ArrowLeft", "Step 1"), ("k", "train_0"), ("ArrowRight", "Step 2, training: train_0"),
                          ("l", "Step 3, training: train_0"), ("k", "Step 2, training: train_2")):  # fmt: skip
        page.keyboard.press(key)
        shows(page, expected)
    page.keyboard.press("2")
    page.locator(".answer.chosen", has_text="no answer").wait_for()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "filter"
    page.keyboard.press("j")  # in a field keys are the field's
    assert "train_2" in heading(page)
    page.locator("input[name=keys]").uncheck()
    page.keyboard.press("k")
    assert "train_2" in heading(page)


def test_filters(page, site, runs, rows):
    write_rollouts(runs / "run", 2, rows)
    page.goto(site.url)
    shows(page, "Step 2")
    status, prompts = page.locator("#rollouts p[role=status]"), page.locator(".prompts li")

    def choose(**values: str) -> list[str]:
        for name, label in values.items():
            page.locator(f"#rollouts select[name={name}]").select_option(label=label)
        page.wait_for_timeout(100)
        return [re.match(r"\w+_\d", text)[0] for text in prompts.all_text_contents()]

    assert choose(filter="of mixed scores") == ["train_0", "train_2"] and "4 groups in 2 steps" in status.inner_text()
    assert choose(filter="with the format lost") == ["train_2"]
    assert choose(filter="with a wrong answer") == ["train_0", "train_2"]
    assert choose(filter="followed through the run") == ["train_0"]
    assert choose(filter="all", truth="cross") == ["train_1"]
    assert choose(filter="with a wrong answer") == [] and status.inner_text() == "No group is like that."
    assert choose(filter="all", truth="all", split="validation") == ["val_0", "val_1"]
    assert choose(split="all", step="1, training") == ["train_0", "train_1", "train_2"]


def test_a_link_opens_the_same_sample(page, site, runs, rows):
    write_rollouts(runs / "run", 3, rows)
    page.goto(site.url)
    shows(page, "Step 3")
    for key in ("j", "j", "h", "2"):
        page.keyboard.press(key)
    shows(page, "Step 2, training: train_2")
    page.locator("button", has_text="Copy link").click()
    page.locator("p[role=status]", has_text="copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    page.goto("about:blank")
    page.goto(link)
    shows(page, "Step 2, training: train_2")
    assert page.locator(".answer.chosen").count() == 1
    page.wait_for_timeout(2500)  # a poll later it is still there
    assert "Step 2, training: train_2" in heading(page) and not page.locator("input[name=follow]").is_checked()
    page.goto(f"{site.url}#rollouts&run={re.search('run=([0-9a-f]+)', link)[1]}&step=2&split=val&row=1")
    shows(page, "Step 2, validation: val_1")


def test_a_table_in_progress_has_all_its_runs(page, site, runs, rows):
    write_rollouts(runs / "a" / "train", 2, rows, started="2026-01-01T00:00:00Z")
    failed = {"state": "failed", "why": "no <b>memory</b>"}
    write_rollouts(runs / "b" / "train", 3, rows, started="2026-01-02T00:00:00Z", **failed)
    page.goto(site.url)
    shows(page, "Step 3")
    assert page.locator("#states tbody th").all_text_contents() == ["a/train", "b/train"]
    assert "no <b>memory</b>" in page.locator("#states tr", has_text="b/train").inner_text()
    page.locator("#states a", has_text="a/train").click()
    shows(page, "Step 2")
    assert page.locator("#states tr[aria-current]").inner_text().startswith("a/train")
    page.locator("#curves .panel").first.wait_for()


def test_the_film_strip_has_two_runs_side_by_side(page, site, runs, rows):
    for name in ("one", "two"):
        write_rollouts(runs / name, 3, rows)
    page.goto(site.url)
    shows(page, "Step 3")
    page.locator(".strip summary").click()
    page.locator(".strip select[name=right]").select_option(label="two")
    page.locator(".strip select[name=image]").select_option(label="val_1")
    page.locator(".strip tbody tr").nth(1).wait_for()
    assert page.locator(".strip thead th").all_text_contents() == ["Run", "step 1", "step 2", "step 3"]
    verdicts = page.locator(".strip tbody tr").nth(1).locator(".verdict").all_text_contents()
    assert verdicts == ["✓ right: cross", "✗ wrong: ring", "✓ right: cross"]
    page.locator(".strip tbody tr").nth(1).locator("a").first.click()
    shows(page, "Step 1, validation: val_1")


def test_hostile_text_stays_text(page, site, runs, rows):
    name = "<img src=x onerror=alert(3)>"
    run = write_rollouts(runs / name, 1, rows)
    odd = group(2, 0, []) | {"answers": [answer(HOSTILE, HOSTILE, HOSTILE)], "truth": HOSTILE, "source_id": HOSTILE,
                             "classes": [HOSTILE], "text": HOSTILE, "knowledge": [HOSTILE]}  # fmt: skip
    rollouts_file.write(run, [odd], 64)
    page.goto(site.url)
    shows(page, HOSTILE)
    text = page.locator("body").inner_text()
    assert text.count("onerror=alert(2)") >= 4 and name in text
    assert page.locator("img[onerror], [src*='192.0.2.1'], img[src=x]").count() == 0
    assert page.evaluate("document.scripts.length") == 1


def test_a_damaged_file_and_a_run_without_rollouts(page, site, runs, rows):
    run = write_rollouts(runs / "run", 2, rows)
    rollouts_file.path_of(run, 1, "train").write_bytes(b"no parquet")
    page.goto(site.url)
    shows(page, "Step 2")
    assert "00001.train.parquet: no rollouts can be read" in page.locator("#rollouts .notes").inner_text()
    for file in (run / "rollouts").iterdir():
        file.unlink()
    (run / "rollouts").rmdir()
    page.locator("#rollouts .notes", has_text="A run of an earlier version").wait_for(timeout=SOON)
    assert page.locator("#rollouts p[role=status]").inner_text() == "No rollouts yet."


def test_a_server_that_ends_is_said(page, site, runs, rows):
    write_rollouts(runs / "run", 2, rows)
    page.goto(site.url)
    shows(page, "Step 2")
    site.stop()
    page.locator("#fault", has_text="start `make watch` again").wait_for(timeout=SOON)
    assert "Step 2" in heading(page)
    page.said.clear()  # Chromium says that its requests were refused


@pytest.mark.slow  # a duration needs a quiet machine
def test_200_steps_of_8_prompts_with_8_answers(page, site, runs, rows):
    """They are there within 2 seconds, and the tab stays below 300 MB when a person goes through them."""
    run = write_rollouts(runs / "run", 1, rows)
    long = "two bright rings in the centre, and then nothing at all. " * 12
    for step in range(1, 201):
        eight = [group(step, row % 4, [], prompt=f"{step}.{row}", answers=[answer("ring", "ring", long)] * 8)
                 for row in range(8)]  # fmt: skip
        rollouts_file.write(run, eight, 64)
    started = time.monotonic()
    page.goto(site.url)
    shows(page, "Step 200", 2000)
    assert time.monotonic() - started < 2
    page.locator("p[role=status]", has_text="1600 groups in 200 steps").wait_for()
    for _ in range(40):
        page.keyboard.press("h")
    shows(page, "Step 160")
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")
    assert used["totalSize"] < 300e6
