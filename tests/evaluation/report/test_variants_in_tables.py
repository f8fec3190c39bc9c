"""Checks that a table shows and compares runs of variants of GRPO, and takes none for the paper's."""

from pathlib import Path

from toy_runs import predictions, write_cell
from toy_tables import HALF_RIGHT, TRUTH, cells, filled, judged

ROWS = [{"experiment": "v_rft"}, {"experiment": "v_rft", "variant": "dapo"}]
BETTER = {"text": "DAPO improves on GRPO", "better": "v_rft", "better_variant": "dapo", "worse": "v_rft"}


def write(root: Path, grpo: str | None = "grpo") -> None:
    """A run of GRPO that is half right, and one of DAPO that is right. grpo: what the first records; None: nothing."""
    for experiment, variant, answers in (("v_rft", grpo, HALF_RIGHT), ("v_rft-dapo", "dapo", TRUTH)):
        rows = predictions(TRUTH, answers, data_source="retina")
        write_cell(root, "tiny", "retina", 256, experiment, rows=rows, experiment="v_rft", variant=variant)


def test_each_run_fills_the_row_of_its_variant(tmp_path: Path):
    for grpo in ("grpo", None):  # None: of a version without variants
        root = tmp_path / str(grpo)
        write(root, grpo)
        found = filled(root, rows=ROWS, datasets=["retina"])
        assert [row.label for row in found.rows] == ["V-RFT", "V-RFT, dapo"]
        assert [entry.own.metrics["accuracy"]["value"] for entry in found.entries] == [0.585, 1.0]
        assert cells(found)["V-RFT, dapo"][1].startswith("100.0")


def test_the_papers_numbers_are_of_its_own_variant(tmp_path: Path):
    write(tmp_path)
    papers, other = filled(tmp_path, name="table1", rows=ROWS, datasets=["retina"]).entries
    assert papers.printed and not other.printed


def test_a_claim_names_the_variant(tmp_path: Path):
    write(tmp_path)
    opposite, other = BETTER | {"better_variant": None, "worse_variant": "dapo"}, BETTER | {"better_variant": "gspo"}
    found, turned, absent = judged(tmp_path, BETTER, opposite, other, rows=ROWS)
    assert (found.whole.verdict, turned.whole.verdict) == ("supported", "contradicted")
    assert "pair of cells of v_rft, gspo and v_rft" in absent.whole.verdict
