"""Checks the cells of the tables: the paper's tables have one cell per printed number."""

import csv

import pytest
from omegaconf import OmegaConf
from repository import ROOT

from vrft_aug.errors import InputError
from vrft_aug.experiments.cells import Cell, Table, cells

PRINTED = ROOT / "vrft_aug" / "evaluation" / "report" / "paper" / "tables.csv"


def table(name: str, **changes: object) -> Table:
    return Table.of(OmegaConf.merge(OmegaConf.load(ROOT / "conf" / "table" / f"{name}.yaml"), changes))


def paper_name(cell: Cell) -> tuple[str, str, int]:
    """The cell as tables.csv names it: method, data set, images per class."""
    if cell.experiment == "zero_shot":
        return f"zero_shot_{cell.policy[-2:]}", cell.dataset, 0
    return cell.experiment, cell.dataset, cell.shots


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_printed_number_has_one_cell(number):
    rows = csv.DictReader(PRINTED.open())
    printed = {(row["method"], row["dataset"], int(row["shots"])) for row in rows
               if row["table"] == str(number) and row["dataset"] != "average"}  # fmt: skip
    ours = [paper_name(cell) for cell in cells(table(f"table{number}"))]
    assert sorted(ours) == sorted(printed)


def test_retina_has_the_fuzzy_reward_where_the_captions_say_so():
    objectives = {cell.experiment: cell.objective for cell in cells(table("table2")) if cell.dataset == "retina"}
    assert objectives == {"zero_shot": None, "v_sft_pa_p": None, "v_rft_pa_p": "mfrs",
                          "v_rft_pa_p_recite_pos": "recite_pos_mfrs",
                          "v_rft_pa_p_recite_neg": "recite_neg_mfrs"}  # fmt: skip
    assert all(cell.objective is None for cell in cells(table("table2")) if cell.dataset != "retina")


def test_tables_share_cells_and_objectives_have_folders_of_their_own():
    first, third = ({cell.folder for cell in cells(table(name))} for name in ("table1", "table3"))
    assert "qwen2_5_vl_3b/retina-256/v_rft-mfrs" in first & third
    assert "qwen2_5_vl_3b/retina-256/v_rft_pa_p" in third - first


def test_a_variant_has_a_folder_of_its_own_and_the_papers_has_none():
    rows = [{"experiment": "v_rft", "variant": name, "objectives": {"retina": "mfrs"}} for name in ("dapo", "grpo")]
    found = cells(table("table3", rows=rows, datasets=["retina"]))
    assert [cell.folder for cell in found] == ["qwen2_5_vl_3b/retina-256/v_rft-mfrs-dapo",
                                               "qwen2_5_vl_3b/retina-256/v_rft-mfrs"]  # fmt: skip


def test_the_table_of_variants_compares_each_with_another_in_the_same_setting():
    one = table("variants")
    ends = {(row.experiment, row.variant) for row in one.rows}
    compared = [((claim.better, claim.better_variant), (claim.worse, claim.worse_variant)) for claim in one.claims]
    assert all({better, worse} <= ends and better[0] == worse[0] for better, worse in compared)
    assert {better[1] for better, _ in compared} == {variant for _, variant in ends} - {None}
    files = {path.stem for path in (ROOT / "conf" / "variant").glob("*.yaml")}
    assert files == {"grpo", *(better[1] for better, _ in compared)}


def test_a_row_has_cells_on_its_own_data_sets_alone():
    rows = [{"experiment": "v_rft"}, {"experiment": "v_sft", "datasets": ["covid19", "blood"]}]
    found = [(cell.experiment, cell.dataset) for cell in cells(table("table3", rows=rows))]
    assert found == [("v_rft", "retina"), ("v_rft", "covid19"), ("v_sft", "covid19")]


def test_without_a_larger_policy_its_row_has_no_cells():
    assert {cell.policy for cell in cells(table("table3", policy="tiny", larger_policy=None))} == {"tiny"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"rows": [{"experiment": "v_rft", "shot": 3}]}, "no key shot"), ({"dataset": []}, "no key dataset"),
     ({"datasets": []}, "needs rows and datasets"), ({"seeds": [0, 0]}, "different whole numbers"),
     ({"seeds": []}, "different whole numbers"), ({"seeds": [-1, 0]}, "different whole numbers"),
     ({"claims": [{"text": "x", "better": "v_rft"}]}, "lacks worse"), ({"claims": "x"}, "must be a list of claims"),
     ({"claims": [{"text": "x", "better": "v_rft", "worse": "v_sft", "shot": 3}]}, "no key shot"),
     ({"claims": [{"text": "x", "better": "v_rft", "worse": "v_sft", "every": "seeds"}]}, "every='seeds' must be"),
     ({"claims": [{"text": "x", "better": "v_rft", "worse": "v_sft", "shots": 256}]}, "shots=256 must be a list"),
     ({"claims": [{"text": "x", "better": "v_rft", "worse": "v_sft", "better_shots": 10}]}, "need each other"),
     ({"claims": [{"text": "x", "better": "v_rft", "worse": "v_rft", "better_shots": 20, "worse_shots": 10,
                   "every": "shots"}]}, "leave out shots")],
)  # fmt: skip
def test_a_malformed_table_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        table("table3", **changes)


def test_several_seeds_have_folders_of_their_own_and_one_seed_moves_nothing():
    one = {"datasets": ["retina"], "rows": [{"experiment": "v_rft"}, {"experiment": "v_sft"}]}
    for seeds in (None, [3]):
        assert [cell.folder for cell in cells(table("table3", seeds=seeds, **one))] == [
            "qwen2_5_vl_3b/retina-256/v_rft", "qwen2_5_vl_3b/retina-256/v_sft"
        ]  # fmt: skip
    assert [cell.folder for cell in cells(table("table3", seeds=[4, 7], **one))] == [
        f"qwen2_5_vl_3b/retina-256/seed-{seed}/{name}" for seed in (4, 7) for name in ("v_rft", "v_sft")
    ]


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "fig2", "fig3", "fig4"])
def test_the_papers_claims_are_about_rows_of_their_table(name):
    one = table(name)
    assert one.claims and one.seeds is None
    experiments = {row.experiment for row in one.rows}
    assert {claim.better for claim in one.claims} | {claim.worse for claim in one.claims} <= experiments
