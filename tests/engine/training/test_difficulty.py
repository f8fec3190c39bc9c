"""GRPO's prompts of middle difficulty: exactly those that the probe found, and no probe of something else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from repository import composed

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.engine.run import facts
from vrft_aug.engine.training.difficulty import Selection, select
from vrft_aug.errors import InputError

ROWS = 24
SHARES = [0, 0.04, 0.05, 0.5, 0.95, 0.96, 1, None]  # solved shares of every 8 rows; None: not asked
CHOSEN = [2, 3, 4]  # of 8, with the defaults


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    sizes = [f"dataset.loader.train={ROWS}", "dataset.loader.val=8", "dataset.loader.test=8"]
    prepare(composed("prepare", *sizes, "policy.max_prompt_length=null", f"out={folder}"), None)
    return folder


def files(rows: Path) -> list[str]:
    return [str(file) for file in parquet_files(rows / "train.parquet")]


def ids(names: list[str]) -> list[str]:
    return [info["source_id"] for file in names for info in pd.read_parquet(file, columns=["extra_info"])["extra_info"]]


def write_probe(folder: Path, rows: Path, *overrides: str, **record: object) -> Path:
    """A finished probe's files, as far as a training reads them, with the solved shares of SHARES in another order."""
    folder.mkdir()
    config = composed("probe", *overrides)
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    about = {"recipe": "probe", "state": "finished", "split": "train", "prompt": config.prompt.name}
    about |= {"objective": config.objective_name, "parquet": str(rows), "sha256": facts.checksums(rows, "train")}
    (folder / "run.json").write_text(json.dumps(about | record))
    shares = [SHARES[place % len(SHARES)] for place in range(ROWS)]
    table = pd.DataFrame({"source_id": ids(files(rows)), "solved": shares}).dropna()
    table.sample(frac=1, random_state=0).to_parquet(folder / "difficulty.parquet", index=False)
    return folder


def selected(probe: Path | None, rows: Path, say: Callable[[str], None] = print, **changes: object) -> Selection | None:
    """What is selected of the rows with other settings: `least=0.5` for difficulty.least."""
    config = composed("grpo", "schedule.batch_size=4", "schedule.mini_batch_size=4").copy()
    config.difficulty.update({"probe": probe and str(probe)} | changes)
    return select(config, files(rows), say)


@pytest.fixture(scope="module")
def probe(rows, tmp_path_factory) -> Path:
    return write_probe(tmp_path_factory.mktemp("probes") / "probe", rows)


def test_without_a_probe_all_prompts_are_trained_on(rows):
    assert selected(None, rows) is None


def test_exactly_the_prompts_of_middle_difficulty_are_chosen(rows, probe, tmp_path):
    """Both limits belong to the middle. The rows stay in their order and are otherwise the same."""
    said: list[str] = []
    chosen = selected(probe, rows, said.append)
    written = chosen.write(tmp_path / "rows")
    expected = [place for place in range(ROWS) if place % len(SHARES) in CHOSEN]
    assert chosen.rows == 9 and said == []
    assert pq.read_table(written).equals(pq.read_table(files(rows)[0]).take(expected))
    assert pq.read_schema(written).metadata == pq.read_schema(files(rows)[0]).metadata
    counts = {key: chosen.facts[key] for key in ("chosen", "too_hard", "too_easy", "not_probed")}
    assert counts == {"chosen": 9, "too_hard": 6, "too_easy": 6, "not_probed": 3}
    assert chosen.text == ("difficulty: trains on 9 of 24 prompts; left out: 6 solved in less than 5 %, 6 in more than "
                           "95 %, 3 not probed")  # fmt: skip
    before = written.read_bytes()
    assert selected(probe, rows).write(tmp_path / "rows").read_bytes() == before  # as when a training resumes


def test_other_limits(rows, probe):
    assert selected(probe, rows, least=0, most=1).rows == 21
    assert selected(probe, rows, least=0.5).rows == 6


def test_shards_are_read_together(rows, tmp_path):
    """As preparation cuts a large split; each file has several row groups."""
    folder, table = tmp_path / "shards", pq.read_table(files(rows)[0])
    folder.mkdir()
    manifest = json.loads((rows / "manifest.json").read_text())
    manifest["files"] = {f"train-0000{part}.parquet": {"sha256": f"{part}"} for part in range(2)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for part in range(2):
        pq.write_table(table.slice(12 * part, 12), folder / f"train-0000{part}.parquet", row_group_size=5)
    chosen = selected(write_probe(tmp_path / "probe", folder), folder)
    whole = selected(write_probe(tmp_path / "probe_whole", rows), rows)
    assert pq.read_table(chosen.write(tmp_path / "a")).equals(pq.read_table(whole.write(tmp_path / "b")))


@pytest.mark.parametrize(("overrides", "record", "reason"), [
    ([], {"recipe": "evaluate"}, "no finished run of recipes/probe.py is there; name the folder that it wrote"),
    ([], {"state": "interrupted"}, "no finished run of recipes/probe.py"),
    ([], {"split": "val"}, "the probe asked the val split; probe with split=train"),
    ([], {"sha256": {"train.parquet": "0"}}, r"the probe asked other rows \(.*\); probe again"),
    (["prompt=knowledge"], {}, "the probe has prompt=knowledge, and this training prompt=names; probe again"),
    (["objective=mfrs"], {}, "the probe has objective=mfrs, and this training objective=accuracy"),
    (["objective.classification.format.weight=0.5"], {}, "the probe's objective=accuracy has other settings"),
])  # fmt: skip
def test_a_probe_of_something_else_is_refused(rows, tmp_path, overrides, record, reason):
    with pytest.raises(InputError, match=f"difficulty.probe=.*{reason}"):
        selected(write_probe(tmp_path / "probe", rows, *overrides, **record), rows)


def test_a_folder_without_a_probe_is_refused(rows, tmp_path):
    with pytest.raises(InputError, match="no finished run of recipes"):
        selected(tmp_path / "nowhere", rows)


def test_rows_of_several_folders_are_refused(rows, probe, tmp_path):
    shutil.copytree(rows, tmp_path / "more")
    config = composed("grpo").copy()
    config.difficulty.probe = str(probe)
    with pytest.raises(InputError, match="the probe asked other rows"):
        select(config, [*files(rows), *files(tmp_path / "more")])


def test_too_few_prompts_for_one_batch_are_refused(rows, probe):
    with pytest.raises(InputError, match=r"trains on 3 of 24 prompts; left out: .*; a batch has 4: probe all rows"):
        selected(probe, rows, least=0.5, most=0.5)


@pytest.mark.parametrize(("changes", "reason"), [
    ({"least": -0.1}, "difficulty.least=-0.1: must be a share from 0 to 1"),
    ({"most": 95}, "difficulty.most=95: must be a share from 0 to 1"),
    ({"most": None}, "difficulty.most=null: must be a share"),
    ({"least": 0.6, "most": 0.4}, "difficulty.least=0.6 is above difficulty.most=0.4"),
])  # fmt: skip
def test_limits_that_make_no_sense(rows, probe, changes, reason):
    with pytest.raises(InputError, match=reason):
        selected(probe, rows, **changes)


def test_a_probe_of_another_policy_is_told(rows, tmp_path):
    said: list[str] = []
    assert selected(write_probe(tmp_path / "probe", rows, "policy.path=runs/sft"), rows, said.append).rows == 9
    assert said == ["difficulty: the probe asked policy runs/sft, and this training starts with tiny, which may solve "
                    "others"]  # fmt: skip


def test_a_training_goes_on_with_the_same_probe_alone(rows, probe, tmp_path):
    chosen = selected(probe, rows)
    chosen.check_same({})  # the earlier start ended before it wrote anything
    chosen.check_same({"difficulty": json.loads(json.dumps(chosen.facts))})
    other = write_probe(tmp_path / "probe", rows)
    pd.read_parquet(other / "difficulty.parquet").assign(solved=0.5).to_parquet(other / "difficulty.parquet")
    with pytest.raises(InputError, match="is not the one by which the training began"):
        selected(other, rows).check_same({"difficulty": chosen.facts})
