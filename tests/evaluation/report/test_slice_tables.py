"""The tables of slices and readers, the notes beside them, external test sets, and the CSV files."""

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toy_runs import GRADES, predictions, write_evaluation

from vrft_aug.evaluation.report.content import gather
from vrft_aug.evaluation.report.provenance import EXTERNAL, EXTERNAL_MEANING
from vrft_aug.evaluation.report.report import write_report
from vrft_aug.evaluation.report.result_tables import all_tables
from vrft_aug.evaluation.report.slice_tables import READERS, SLICES, slice_tables


def table_of(right):
    """200 images with ages and sexes, of which readers read a part; the first `right` answers of each 20 are right."""
    truth = np.array(GRADES * 40)
    answers = np.where(np.arange(200) % 20 < right, truth, "0")
    ages = np.repeat(["100+", "40-59", "under 40", "60-99", ""], [5, 60, 60, 60, 15])
    first, second = truth.astype(object), np.roll(truth, 1).astype(object)
    second[100:] = ""
    return predictions(truth, answers, slice_age=ages, slice_sex=["F", "M"] * 100, reader_R=first, reader_D=second)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    write_evaluation(runs / "1", "before", table_of(5), trained_on=["toy"], external=False)
    write_evaluation(runs / "2", "after", table_of(16), trained_on=["clinic", "toy_2"], external=True)
    return gather([runs], None, None)


def rows_of(table):
    return {row[0]: row[1:] for row in table.rows}


def test_each_slice_has_a_row_and_bands_ascend(content):
    slices, _ = slice_tables({"toy": content.comparisons})
    assert slices.header == ["", "Images", "before", "after"]
    assert [row[0] for row in slices.rows] == [
        "age: under 40", "age: 40-59", "age: 60-99", "age: 100+ (few)", "age: unknown", "  worst", "  gap, points",
        "  p, accuracy differs", "sex: F", "sex: M", "  worst", "  gap, points", "  p, accuracy differs"]  # fmt: skip
    found = rows_of(slices)
    assert found["sex: F"][0] == "100" and found["age: 100+ (few)"][0] == "5" and found["age: unknown"][0] == "15"
    metrics = content.comparisons[1].metrics["slices"]["sex"]
    assert found["sex: F"][2].startswith(f"{100 * metrics['of']['F']['accuracy']['value']:.1f} (")
    assert found["  worst"][2] == metrics["worst"]
    for text, one in zip(found["  p, accuracy differs"][1:], content.comparisons, strict=True):
        p = {name: column["p"] for name, column in one.metrics["slices"].items()}
        assert text == f"{max(p['sex'], min(1, 2 * min(p.values()))):.3f}", "Holm, of two columns"


def test_readers_are_beside_the_policy_on_the_same_images(content):
    readers = rows_of(slice_tables({"toy": content.comparisons})[1])
    names = [row[0] for row in slice_tables({"toy": content.comparisons})[1].rows]
    assert names[::2] == ["R and D", "policy and R, images of R and D", "policy and D, images of R and D",
                          "policy and R", "policy and D"]  # fmt: skip
    assert set(names[1::2]) == {"  quadratic weighted kappa"}
    assert readers["R and D"][0] == readers["policy and R, images of R and D"][0] == "100"
    assert readers["policy and R"][0] == "200" and readers["policy and R"][2].startswith("80.0 (")
    assert readers["R and D"][1] == readers["R and D"][2], "no run has a part in it"


def test_the_report_shows_both_with_their_notes(content):
    (topic,) = [one for one in content.topics if one.anchor == "slices"]
    titles = [table.title for table in topic.tables]
    assert titles[0] == "For whom does it fail? Accuracy, %: toy/grading, test split"
    assert titles[1] == "Readers, agreement in %: toy/grading, test split"
    assert topic.reading == [SLICES, READERS] and EXTERNAL_MEANING in content.legend


def test_a_policy_of_another_data_set_is_named_in_the_table(content):
    found = rows_of(all_tables(content.comparisons)[0])
    assert found[EXTERNAL] == ["–", "clinic, toy_2"]


def test_runs_without_slices_have_no_such_table_or_note(tmp_path):
    write_evaluation(tmp_path / "run", "run", predictions(["0"] * 4, ["0"] * 4))
    found = gather([tmp_path], None, None)
    assert slice_tables({"toy": found.comparisons}) == []
    assert not [one for one in found.topics if one.anchor == "slices"] and EXTERNAL_MEANING not in found.legend
    assert EXTERNAL not in rows_of(all_tables(found.comparisons)[0])


def test_many_slices_are_cut_in_the_table_and_whole_in_the_file(tmp_path):
    sites = [f"site {i % 30}" for i in range(300)]
    write_evaluation(tmp_path / "runs", "run", predictions(["0"] * 300, ["0", "1", "0"] * 100, slice_site=sites))
    (table,) = slice_tables({"toy": gather([tmp_path], None, None).comparisons})
    assert [row[0] for row in table.rows][19:21] == ["site: site 19", "site: 10 more, see slices.csv"]
    files = write_report([tmp_path / "runs"], tmp_path / "out", None, Console(quiet=True))
    assert {"slices.csv"} == {file.name for file in files if file.suffix == ".csv"} - {"table.csv"}
    written = pd.read_csv(tmp_path / "out" / "slices.csv")
    assert len(written) == 30 and written["n"].sum() == 300 and set(written["slice"]) == {"site"}
    assert (written["p_corrected"] == written["p"]).all(), "one slice column: nothing to correct for"
