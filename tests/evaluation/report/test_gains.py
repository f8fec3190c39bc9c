"""Tests the delta rows, and the best and second best numbers of a table of the paper."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from repository import ROOT
from toy_runs import predictions, write_cell
from toy_tables import TRUTH, filled

from vrft_aug.evaluation.report.paper.paper_gains import emphasis, ranks
from vrft_aug.evaluation.report.paper.paper_layout import DELTA, frame, layout
from vrft_aug.evaluation.report.paper.paper_notes import GAINS
from vrft_aug.evaluation.report.paper.paper_numbers import read
from vrft_aug.evaluation.report.paper.paper_rows import PaperTable, Row
from vrft_aug.evaluation.report.paper.paper_table import fill
from vrft_aug.experiments.cells import Table

V_RFT = [{"experiment": "zero_shot"}, {"experiment": "v_rft"}, {"experiment": "v_rft_pa_p"},
         {"experiment": "v_rft_pa_p_mfrs"}]  # fmt: skip


def deltas(one: PaperTable) -> list[list[str]]:
    return [row[2:] for row in layout(one).rows if row[0].startswith("Δ")]


def test_delta_rows_are_points_above_v_rft_with_mcnemars_p(tmp_path: Path):
    for experiment, answers in (("v_rft", ["0"] * 400), ("v_rft_pa_p", TRUTH), ("v_rft_pa_p_mfrs", ["1"] * 400)):
        rows = predictions(TRUTH, answers, data_source="retina")
        write_cell(tmp_path, "tiny", "retina", 256, experiment, rows=rows)
    one = filled(tmp_path, rows=V_RFT)
    assert [row[0] for row in layout(one).rows] == [
        "0-shot, tiny", "V-RFT", "V-RFT + PA_P", DELTA, "V-RFT + PA_P + R_MFRS", DELTA
    ]  # fmt: skip
    better, worse = deltas(one)
    assert better == [
        "+56.5 (p < 0.001)\npaper −16.00",
        "–\npaper +3.92",
        "+56.5\nover 1 of 2 data sets\npaper −6.04",
    ]
    assert worse[0].startswith("−32.0 (p < 0.001)\npaper +0.75")
    assert GAINS in one.notes


def test_a_table_without_v_rft_has_no_delta_row(tmp_path: Path):
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=predictions(TRUTH, TRUTH, data_source="retina"))
    one = filled(tmp_path)
    assert deltas(one) == [] and GAINS not in one.notes


def test_a_delta_is_against_v_rft_with_as_many_images(tmp_path: Path):
    for shots, answers in ((10, ["0"] * 400), (256, TRUTH)):
        write_cell(tmp_path, "tiny", "oct", shots, "v_rft", rows=predictions(TRUTH, answers, data_source="oct"))
    write_cell(tmp_path, "tiny", "oct", 10, "v_rft_pa_p", rows=predictions(TRUTH, TRUTH, data_source="oct"))
    rows = [{"experiment": "v_rft", "shots": None}, {"experiment": "v_rft_pa_p", "shots": None}]
    ten, whole = deltas(filled(tmp_path, name="table1", rows=rows, shots=[10, 256], datasets=["oct"]))
    assert ten[0].startswith("+56.5 (p < 0.001)\npaper +21.49")
    assert whole[0] == "–\npaper +1.56"  # as printed, although the misprinted 73.43 would give 3.12


def test_runs_on_different_images_have_a_delta_without_p(tmp_path: Path):
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft", rows=predictions(TRUTH, TRUTH, data_source="retina"))
    other = predictions(TRUTH[1:], TRUTH[1:], data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft_pa_p", rows=other)
    assert deltas(filled(tmp_path, rows=V_RFT))[0][0].splitlines()[0] == "0.0"


def test_the_printed_deltas_are_the_differences_except_at_the_misprint():
    numbers = read("table1")
    wrong = [key for key, one in numbers.items() if one.delta is not None
             and one.delta != pytest.approx(one.accuracy - numbers["v_rft", *key[1:]].accuracy, abs=0.011)]  # fmt: skip
    assert sum(one.delta is not None for one in numbers.values()) == 27
    assert wrong == [("v_rft_pa_p", 256, "oct")]


# What Table 1 underlines: breast, pneumonia, oct, retina, derma, tissue, blood, organa, average.
UNDERLINED = {
    10: [60.89, 55.12, 31.25, 27.00, 27.17, 12.50, 43.35, 33.23, 35.16],
    20: [58.33, 68.42, None, 26.75, 39.49, 13.08, None, 36.22, 40.45],  # OCT and Blood have no underlined number there
    256: [40.38, 81.89, 70.31, 59.50, 45.93, 19.33, 59.96, 52.13, 57.16],
}


def test_second_best_is_what_the_paper_underlines_except_where_it_underlines_the_best():
    one = fill(Table.of(OmegaConf.load(ROOT / "conf" / "table" / "table1.yaml")), "table1", [], {})
    found = emphasis(one.rows)
    assert not any(one.rows[row].shots == 0 for row, *_ in found)
    others = []
    for shots, expected in UNDERLINED.items():
        for column, underlined in enumerate(expected):
            numbers = {printed(one.rows[row], column) for (row, other, _), rank in found.items()
                       if rank == "second" and other == column and one.rows[row].shots == shots}  # fmt: skip
            if underlined and numbers != {underlined}:
                others.append((shots, column, numbers))
    assert others == [(10, 7, {30.39})]  # OrganA: the underlined 33.23 of V-SFT is the best of its column


def printed(row: Row, column: int) -> float:
    return (row.entries[column].printed if column < len(row.entries) else row.printed_average).accuracy


def test_ranks():
    assert ranks([0.5, 0.7, None, 0.7, 0.1]) == ["second", "best", "", "best", ""]
    assert ranks([0.5, None]) == ["", ""]


def test_our_best_number_is_bold_and_the_second_underlined(tmp_path: Path):
    for experiment, answers in (("v_rft", ["0"] * 400), ("v_rft_pa_p", TRUTH), ("v_rft_pa_p_mfrs", ["1"] * 400)):
        rows = predictions(TRUTH, answers, data_source="retina")
        write_cell(tmp_path, "tiny", "retina", 256, experiment, rows=rows)
    one = filled(tmp_path, rows=V_RFT)
    lines = layout(one).markdown().splitlines()
    pa_p, v_rft, mfrs = (next(line for line in lines if line.startswith(f"| {name} |"))
                         for name in ("V-RFT + PA_P", "V-RFT", "V-RFT + PA_P + R_MFRS"))  # fmt: skip
    assert "| **100.0 (99.0–100.0)**<br>paper 43.50 ‡ |" not in pa_p and "**100.0 (99.0–100.0)**<br>" in pa_p
    assert "<ins>43.5 (38.7–48.4) †</ins><br><ins>paper 59.50</ins>" in v_rft
    assert "**paper 60.25**" in mfrs and "<ins>11.5" not in mfrs


def test_csv_has_ranks_and_deltas(tmp_path: Path):
    for experiment, answers in (("v_rft", ["0"] * 400), ("v_rft_pa_p", TRUTH)):
        rows = predictions(TRUTH, answers, data_source="retina")
        write_cell(tmp_path, "tiny", "retina", 256, experiment, rows=rows)
    lines = frame(filled(tmp_path, rows=V_RFT)).set_index(["experiment", "dataset"])
    cell, average = lines.loc["v_rft_pa_p", "retina"], lines.loc["v_rft_pa_p", "average"]
    assert (cell["rank"], cell["delta"], cell["paper_delta"]) == ("best", pytest.approx(0.565), pytest.approx(-0.16))
    assert cell["delta_p"] < 0.001 and average["delta"] == pytest.approx(0.565)
    assert lines.loc["v_rft", "retina"][["rank", "paper_rank"]].to_list() == ["second", "second"]
    assert lines["delta"].notna().sum() == 2
