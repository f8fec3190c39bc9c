"""Tests what a table of the paper says about its runs: other test sets, prompts, labels, tokens and knowledge."""

from pathlib import Path

from toy_runs import cell_facts, predictions, write_cell, write_evaluation
from toy_tables import TRUTH, cells, filled

from vrft_aug.evaluation.report.paper.paper_layout import DELTA, footnotes, frame, layout
from vrft_aug.evaluation.report.paper.paper_numbers import class_counts, read


def test_another_number_of_images_or_other_class_shares_are_footnoted(tmp_path: Path):
    rows = predictions(TRUTH[-120:], TRUTH[-120:], data_source="covid19")
    write_cell(tmp_path, "tiny", "covid19", 256, "zero_shot", rows=rows)
    shares = ["0"] * 400
    write_cell(tmp_path, "tiny", "retina", 256, "zero_shot", rows=predictions(shares, shares, data_source="retina"))
    one = filled(tmp_path)
    assert cells(one)["0-shot, tiny"][1:3] == [
        "100.0 (99.0–100.0) †\npaper 14.75 [a]", "100.0 (96.9–100.0)\npaper 17.64 [b]"
    ]  # fmt: skip
    assert cells(one)["0-shot, tiny"][3].endswith("paper 16.20 [c]")
    assert list(footnotes(one)) == [
        "class shares differ: ours 400, 0, 0, 0, 0 images per class, the paper's 174, 46, 92, 68, 20",
        "n or class shares differ: ours 120 images, the paper's 153",
        "average over test sets of which at least one is not like the paper's",
    ]
    notes = frame(one).set_index(["experiment", "dataset"])["paper_note"]
    assert notes["zero_shot", "covid19"] == "n or class shares differ: ours 120 images, the paper's 153"


def test_the_papers_test_set_has_no_footnote(tmp_path: Path):
    write_cell(tmp_path, "tiny", "retina", 256, "zero_shot", rows=predictions(TRUTH, TRUTH, data_source="retina"))
    assert footnotes(filled(tmp_path)) == {}


def test_the_known_test_sets_have_the_papers_number_of_images():
    printed = {dataset: one.n for name in ("table1", "table3") for (*_, dataset), one in read(name).items() if one.n}
    assert {dataset: sum(counts) for dataset, counts in class_counts().items()} == {
        dataset: n for dataset, n in printed.items() if dataset != "covid19"
    }


def test_pa_pi_says_with_which_prompt_it_was_diagnosed(tmp_path: Path):
    rows = predictions(TRUTH, TRUTH, data_source="ham10000")
    write_cell(tmp_path, "tiny", "ham10000", 256, "v_rft_pa_pi", rows=rows, prompt="knowledge")
    write_cell(tmp_path, "tiny", "ham10000", 256, "v_rft", rows=rows, prompt="names")
    spec = [{"experiment": "v_rft"}, {"experiment": "v_rft_pa_pi"}, {"experiment": "v_sft_pa_pi"}]
    one = filled(tmp_path, name="fig3", rows=spec, datasets=["ham10000"])
    assert [row[0] for row in layout(one).rows] == [
        "V-RFT", "V-RFT + PA_π, diagnosed with prompt=knowledge", DELTA, "V-SFT + PA_π"
    ]  # fmt: skip
    assert frame(one).set_index(["experiment", "dataset"])["prompt"]["v_rft_pa_pi", "ham10000"] == "knowledge"


def test_labels_visual_tokens_and_unreviewed_knowledge_are_noted(tmp_path: Path):
    rows = predictions(TRUTH, TRUTH, data_source="retina")
    about = {"labels": {"train": 1080, "val": 120}, "image_tokens": {"least": 64, "most": 64}}
    about |= {"knowledge": {"unreviewed": 4, "entries": 5}}
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=rows, **about)
    write_cell(tmp_path, "tiny", "retina", 256, "zero_shot", rows=rows)
    notes = filled(tmp_path).notes
    assert "Labels used (train + validation), 256 images per class: retina 1080 + 120" in notes
    assert "Visual tokens per image: retina 64" in notes
    assert "Knowledge in the prompt: retina PA_P with 4 of 5 entries unreviewed" in notes


def test_logistic_regression_has_a_row(tmp_path: Path):
    """Of each seed's own training images; an earlier evaluation has none."""
    rows = predictions(TRUTH, TRUTH, data_source="retina")
    for seed, right in ((0, 200), (1, 240)):
        folder = write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=rows, seed=seed)
        answers = [*TRUTH[:right], *["no"] * (len(TRUTH) - right)]
        regression = predictions(TRUTH, answers, data_source="retina")
        facts = cell_facts("tiny", "retina", 256, "v_rft_pa_p") | {"seed": seed, "beside": "pixels"}
        write_evaluation(folder / "pixels", "pixels", regression, **facts)
    write_cell(tmp_path, "tiny", "covid19", 256, "v_rft_pa_p", rows=rows.assign(data_source="covid19"), seed=0)
    one = filled(tmp_path, seeds=[0, 1])
    (row,) = [row for row in layout(one).rows if row[0].startswith("Logistic regression")]
    assert row == ["Logistic regression on pixels", "256", "55.0\nmean of 2", "–", "–"]
    found = frame(one).set_index(["experiment", "dataset"])
    assert found["pixels_accuracy"]["v_rft_pa_p", "retina"] == 0.5
    assert found["p_against_pixels"]["v_rft_pa_p", "retina"] < 0.001
    other = layout(filled(tmp_path, seeds=[0, 1], datasets=["covid19"]))
    assert not any(row[0].startswith("Logistic") for row in other.rows)
