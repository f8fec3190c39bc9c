"""Checks what a plan counts and which cells it says cannot run."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from repository import CONF, ROOT

from vrft_aug.errors import InputError
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.compositions import Compositions, compose
from vrft_aug.experiments.plan import Form, lines
from vrft_aug.experiments.run_table import refuse
from vrft_aug.experiments.stages import Plan
from vrft_aug.experiments.survey import Survey

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

ONE_HOUR = Form(commands=False, tokens_per_second=1_000_000)


class Planner:
    """Plans cells on a machine with the data sets of a folder."""

    def __init__(self, configs: Compositions) -> None:
        self.configs = configs

    def work(self, *cells: Cell, hardware: str = "gpu_2x80g", shared: tuple[str, ...] = (), protocol: str = "paper"):
        every = (f"hardware={hardware}", *(shared or ("data_root=none",)))
        plan = Plan(Path("runs"), self.configs, every, (), protocol)
        return [(cell, plan.stages(cell)) for cell in cells]

    def text(self, *cells: Cell, form: Form = ONE_HOUR, done=frozenset(), **options) -> list[str]:
        return list(lines(self.work(*cells, **options), Survey(self.configs), set(done), form))


@pytest.fixture(scope="module")
def planner():
    with initialize_config_dir(str(CONF), version_base=None):
        yield Planner(Compositions(compose))


def number(line: str, name: str) -> float:
    return float(re.search(rf"([\d,.]+) {name}", line)[1].replace(",", ""))


def test_the_plan_counts_what_cells_share_once(planner):
    cells = [Cell(experiment, "phantom", 10, "tiny") for experiment in ("v_sft", "v_rft")]
    shared = ("data_root=none", "policy.warm_start=warm_start")
    rows = planner.work(*cells, hardware="cpu", shared=shared)[0][1][0]
    text = planner.text(*cells, hardware="cpu", form=Form(False, None), done={rows}, shared=shared)
    assert text[0].startswith("tiny/phantom-10/v_sft: warm_start + rows + train + test: 56 steps, ")
    assert text[1].startswith("tiny/phantom-10/v_rft: train + test: 16 steps, ")
    assert text[2] == "2 cells; 7 stages: 1 done, 6 to run"
    assert not any("GPU hours" in line for line in text)


def test_the_papers_cost(planner):
    line = planner.text(Cell("v_rft", "blood", 256, "qwen2_5_vl_3b"))[0]
    tokens = (120 * 256 * 8 * (1 + 1 + 3) + 13 * 256 + 2 * 512) * 3072  # every pass, validations, the test
    assert line == (
        "qwen2_5_vl_3b/blood-256/v_rft: rows + train + test: 120 steps, 245,760 rollouts, 3,328 validation answers, "
        f"1,024 test answers, {tokens / 1e6:,.0f} M token passes, 361 visual tokens per image, "
        f"{tokens / 1e6 / 3600:.1f} GPU hours (assumed: 1,000,000 tokens/s), 125.9 GiB of checkpoints, "
        "about 63 of 80 GiB per device"
    )


def test_the_checkpoints_are_those_that_the_preflight_counts(planner):
    line = planner.text(Cell("v_rft", "blood", 256, "qwen2_5_vl_3b"))[0]
    three = 3 * 3_754_622_976 * 12 / 1024**3  # the newest, the best, and one that is being written
    assert number(line, "GiB of checkpoints") == pytest.approx(three, abs=0.05)


def test_frozen_weights_need_less_disk_and_memory(planner):
    cell = Cell("v_rft", "blood", 256, "qwen2_5_vl_3b")

    def line(freeze: str) -> str:
        shared = ("hardware=gpu_2x80g", "data_root=none")
        plan = Plan(Path("runs"), planner.configs, shared, (f"freeze={freeze}",), "paper")
        return next(lines([(cell, plan.stages(cell))], Survey(planner.configs), set(), ONE_HOUR))

    whole, frozen = line("none"), line("vision+merger")
    spared = 3 * 668_684_288 * 8 / 1024**3  # two moments of each weight of the tower, in three checkpoints
    difference = number(whole, "GiB of checkpoints") - number(frozen, "GiB of checkpoints")
    assert difference == pytest.approx(spared, abs=0.1)
    assert int(re.search(r"about (\d+) of", frozen)[1]) < int(re.search(r"about (\d+) of", whole)[1])
    assert line("everything").startswith("qwen2_5_vl_3b/blood-256/v_rft: cannot run: freeze=everything: must be one of")


def test_the_profile_and_the_schedule_change_the_passes(planner):
    def passes(*shared: str) -> float:
        line = planner.text(Cell("v_rft", "blood", 256, "qwen2_5_vl_3b"), shared=("data_root=none", *shared))[0]
        return number(line, "M token passes")

    rollouts = 120 * 256 * 8 * 3072 / 1e6
    every = passes("hardware.skip_old_log_probs=false")
    reused = passes("hardware.skip_old_log_probs=false", "hardware.reuse_log_probs=true")
    assert every - reused == pytest.approx(rollouts, abs=1)
    assert every - passes() == pytest.approx(rollouts, abs=1)
    assert passes("schedule.mini_batch_size=128") == every  # two updates per step


@pytest.mark.parametrize("shots", [10, 20, 256])
def test_a_tissuemnist_cell_validates_less_than_it_trains(shots, planner):
    line = planner.text(Cell("v_rft", "tissue", shots, "qwen2_5_vl_3b"))[0]
    validations = 1 + 120 // 10  # before the first step, and at every tenth
    assert number(line, "validation answers") == validations * min(256, 8 * shots) < number(line, "rollouts")
    assert number(line, "GPU hours") > 0 and "assumed" in line


def test_two_epochs_have_as_many_steps_as_the_images_give(planner):
    line = planner.text(Cell("v_sft_pa_pi", "ham10000", 10, "qwen2_5_vl_3b"))[0]
    assert number(line, "steps") == math.floor(7 * 10 / 4) * 2


def test_what_is_not_known_is_said(planner):
    text = planner.text(Cell("v_rft_pa_pi", "ham10000", None, "qwen2_5_vl_3b"))
    assert ": rows + train + test: answers not known, 334 to 1280 visual tokens per image" in text[0]
    assert ": at least " in planner.text(Cell("v_rft", "ham10000", 10, "qwen2_5_vl_3b"))[0]
    assert "ham10000: images counted from shots, not checked: no data under none" in text


def test_labels_are_counted_where_the_data_are(planner):
    text = planner.text(Cell("v_rft", "phantom", 10, "qwen2_5_vl_3b"), protocol="full",
                        shared=("data_root=none", "dataset.loader.test=100", "dataset.loader.val=12"))  # fmt: skip
    assert number(text[0], "test answers") == 2 * 100
    assert number(text[0], "validation answers") == 13 * 12
    assert "at least" not in text[0] and not any("not checked" in line for line in text)


def test_every_seed_is_counted_and_its_commands_name_it(planner):
    one, *several = [Cell("v_rft", "blood", 256, "qwen2_5_vl_3b", seed=seed) for seed in (None, 1, 2)]
    alone = planner.text(one)[0].partition(": ")[2]
    text = planner.text(*several, form=Form(True, 1_000_000))
    cells = [line for line in text if "rows + train + test" in line]
    assert [line.partition(": ") for line in cells] == [
        (f"qwen2_5_vl_3b/blood-256/seed-{seed}/v_rft", ": ", alone) for seed in (1, 2)
    ]
    assert "2 cells; 6 stages: 0 done, 6 to run" in text
    commands = [line for line in text if " python " in line]
    assert [re.search(r" seed=(\d+)", line)[1] for line in commands] == ["1", "1", "1", "2", "2", "2"]


def test_commands_are_printed_on_request(planner):
    cell = Cell("v_rft", "blood", 256, "qwen2_5_vl_3b")
    stages = planner.work(cell)[0][1]
    text = planner.text(cell, form=Form(True, None), done=stages[:1])
    assert text[1:4] == [f"  {stage.name:16} {state:7} python {' '.join(stage.command)}"
                         for stage, state in zip(stages, ("done", "to run", "to run"), strict=True)]  # fmt: skip


def test_a_batch_that_the_devices_cannot_share_is_the_cells_line(planner):
    cells = [Cell(name, "ham10000", 256, "qwen2_5_vl_3b") for name in ("v_sft_pa_pi", "v_sft")]
    text = planner.text(*cells, hardware="node_8x80g")
    assert re.match(r".*/v_sft_pa_pi: cannot run: data.train_batch_size=4: 8 devices cannot share .*schedule", text[0])
    assert "cannot run" not in text[1]
    assert text[2].startswith("2 cells; 1 of them cannot run; ")
    with pytest.raises(InputError, match=r"1 of 2 cells cannot run, so none was started: .*/v_sft_pa_pi: "):
        refuse(planner.work(*cells, hardware="node_8x80g"), Survey(planner.configs))


def folder_csv(root: Path) -> tuple[str, ...]:
    """A data set of own images: 14 training images per class. They are not opened, so the files are empty."""
    (root / "folder").mkdir()
    rows = [f"{split}{i}.png,{name},{split}" for name in ("negative", "positive")
            for split, count in (("train", 14), ("val", 4), ("test", 4)) for i in range(count)]  # fmt: skip
    rows = [f"{number}{row}" for number, row in enumerate(rows)]
    for row in rows:
        (root / "folder" / row.partition(",")[0]).touch()
    (root / "folder" / "images.csv").write_text("image,label,split\n" + "\n".join(rows) + "\n")
    return (f"data_root={root}",)


def test_more_shots_than_images_and_a_missing_bank_are_the_cells_lines(planner, tmp_path):
    cells = [Cell("v_rft", "folder", 500, "qwen2_5_vl_3b"), Cell("v_rft_pa_p", "folder", 10, "qwen2_5_vl_3b"),
             Cell("v_rft", "folder", 10, "qwen2_5_vl_3b")]  # fmt: skip
    text = planner.text(*cells, shared=folder_csv(tmp_path))
    assert "cannot run: shots=500: class 'negative' has 14 training images; use shots=14 or less" in text[0]
    assert re.search(r"cannot run: .*folder.yaml: no knowledge file", text[1])
    assert "cannot run" not in text[2]


def test_data_that_are_there_and_wrong_are_the_cells_line(planner, tmp_path):
    shared = folder_csv(tmp_path)
    (tmp_path / "folder" / "0train0.png").unlink()
    text = planner.text(Cell("v_rft", "folder", 10, "qwen2_5_vl_3b"), shared=shared)
    assert re.search(r"cannot run: .*images.csv line 2: no such image", text[0])


@pytest.mark.parametrize("dataset", ["heel", "covid19", "retina", "folder"])
def test_without_data_a_cell_is_counted_by_its_shots(dataset, planner, tmp_path):
    text = planner.text(Cell("v_rft", dataset, 10, "qwen2_5_vl_3b"), shared=(f"data_root={tmp_path}",))
    assert "cannot run" not in text[0] and "245,760 rollouts" in text[0]
    assert f"{dataset}: images counted from shots, not checked: no data under {tmp_path}" in text


def test_an_assumption_of_no_speed_is_refused():
    with pytest.raises(InputError, match="plan_tokens_per_second=0: must be above 0"):
        Form(False, 0)


@pytest.mark.parametrize("arguments", [["SHOTS=500"], ["SHOTS=10", "v_rft_pa_p"]])
def test_a_cell_that_cannot_run_starts_nothing(arguments, tmp_path):
    shots = arguments[0].partition("=")[2]
    experiment = arguments[1] if len(arguments) > 1 else "v_rft"
    done = subprocess.run(
        [sys.executable, "recipes/experiments.py", "policy=tiny", f"table.rows=[{{experiment:{experiment}}}]",
         "table.datasets=[folder]", f"table.shots=[{shots}]", *folder_csv(tmp_path), f"out={tmp_path / 'runs'}"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"1 of 1 cells cannot run, so none was started: tiny/folder-{shots}/{experiment}: " in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table.seeds=[1,2]"], ["2 cells; ", "seeds 1, 2: a cell that trains nothing"]),
        (["table.seeds=[5]"], ["1 cells; ", " seed=5 "]),
        (["table.seeds=[1,2]", "seed=7"], ["error: seed=7: the table's seeds are [1, 2]"]),
    ],
)
def test_seeds_on_the_command_line(arguments, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "recipes/experiments.py", "policy=qwen2_5_vl_3b", "hardware=gpu_2x80g", "plan=commands",
         "table.datasets=[blood]", "table.shots=[256]", "data_root=none", *arguments, f"out={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    for text in said:
        assert text in done.stdout + done.stderr
    assert done.returncode == (2 if said[0].startswith("error") else 0)
