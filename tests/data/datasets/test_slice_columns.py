"""Slices and readers: columns of a table, bands of numbers, mistakes, and how they come into the rows of each set."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from toy_data import compose_config, write_image, write_toy

from vrft_aug.data.datasets import folder
from vrft_aug.data.datasets.csv_file import Table
from vrft_aug.data.datasets.sample import DataWarning
from vrft_aug.data.datasets.slice_columns import band, columns_of, read_readers, read_slices
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError
from vrft_aug.rewards.adapters import easyr1

HEADER = "image,label,split,sex,age,site,first reader"
LINES = ["0.png,a,train,F,39.5,x,a", "1.png,b,train,unknown,40,y,", "2.png,a,val,M,,x,b", "3.png,b,test,M,83,N/A,b"]


def write_table(root, lines=LINES):
    for i in range(len(lines)):
        write_image(root / "mine" / f"{i}.png", np.random.default_rng(i))
    (root / "mine" / "images.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")


def load(root, split="train", **options):
    options |= {"csv": "mine/images.csv", "classes": ["a", "b"], "test": 0.2, "val": 0.1, "seed": 0}
    return list(folder.load(root, split, **options))


def table(**columns):
    rows = [{"#": str(2 + i)} | dict(zip(columns, values, strict=True))
            for i, values in enumerate(zip(*columns.values(), strict=True))]
    return Table("t.csv", list(columns), rows)


@pytest.mark.parametrize(("limits", "number", "name"), [
    ([0, 40, 60], 39.9, "0-39"), ([0, 40, 60], 40, "40-59"), ([0, 40, 60], 60, "60+"), ([40, 60], 12, "under 40"),
    ([0.5, 1.5], 1.2, "0.5 to under 1.5"), ([0.5, 1.5], 0.1, "under 0.5"), ([10], 10, "10+"),
])  # fmt: skip
def test_numbers_become_bands(limits, number, name):
    assert band(number, limits) == name


@pytest.mark.parametrize("asked", [
    ["sex", {"age": [40, 60]}], {"sex": None, "age": [40, 60]}, [{"sex": None, "age": [40, 60]}],
])  # fmt: skip
def test_every_form_of_asking_reads_the_same(asked):
    found = read_slices(table(sex=["F", "NaN", ""], age=["61.0", "", "7"]), asked)
    assert found == [{"sex": "F", "age": "60+"}, {"sex": "", "age": ""}, {"sex": "", "age": "under 40"}]
    assert columns_of(asked) == ["sex", "age"]
    assert read_slices(table(sex=["F"]), "sex") == [{"sex": "F"}] and read_slices(table(sex=["F"]), []) == [{}]


@pytest.mark.parametrize(("asked", "message"), [
    (["sexx"], "dataset.loader.slices: t.csv has no column 'sexx'; its columns are sex, age"),
    ([3], r"slices: 3 is no column; name columns of the table, as \[sex, site\]"),
    ({"age": [60, 40]}, r"the limits \[60, 40\] of age must be ascending numbers"),
    ({"age": []}, r"the limits \[\] of age must be"), ({"age": "old"}, "the limits old of age must be"),
    ({"age": ["x"]}, "of age must be"), (["age"], "column age of t.csv has 51 values, too many for slices; leave"),
])  # fmt: skip
def test_settings_that_cannot_work_are_refused(asked, message):
    with pytest.raises(InputError, match=message):
        read_slices(table(sex=["F"] * 51, age=[str(i) for i in range(51)]), asked)


def test_wrong_numbers_and_readers_are_mistakes_like_the_others(tmp_path):
    write_table(tmp_path, [*LINES, "4.png,c,train,M,old,x,maybe"])
    with pytest.raises(InputError) as told:
        load(tmp_path, slices=[{"age": [40]}], readers={"R": "first reader"})
    assert str(told.value).startswith(f"{tmp_path}/mine/images.csv: 3 mistakes: line 6: label 'c' is not a class; "
                                      "line 6: age 'old' is no number; line 6: reader R gives 'maybe', which is not")
    with pytest.raises(InputError, match=r"dataset.loader.readers: .* no column 'second'; its columns are image"):
        load(tmp_path, readers={"D": "second"})


def test_columns_that_are_read_are_not_in_the_warning(tmp_path, recwarn):
    write_table(tmp_path)
    with pytest.warns(DataWarning, match=r"not read: column age, site \(read"):
        samples = load(tmp_path, slices=["sex"], readers={"R": "first reader"})
    assert [(sample.slices, sample.readers) for sample in samples] == [({"sex": "F"}, {"R": "a"}),
                                                                       ({"sex": ""}, {"R": ""})]
    recwarn.clear()
    load(tmp_path, slices=["sex", "age", "site"], readers={"R": "first reader"})
    assert not recwarn.list


def test_readers_are_read_from_their_columns():
    assert read_readers(table(one=["0", ""], two=["1", "1"]), {"R": "one", "D": "two"}, ["0", "1"]) == [
        {"R": "0", "D": "1"}, {"R": "", "D": "1"}]  # fmt: skip


def prepared(root, out, *overrides):
    return prepare(compose_config(f"data_root={root}", f"out={out}", *overrides), None)


def tags(row, key):
    return {tag["name"]: tag["value"] for tag in row["extra_info"][key]}


@pytest.mark.parametrize("export", ["easyr1", "trl"])
def test_they_are_in_the_rows_and_in_the_exports(tmp_path, export):
    write_table(tmp_path)
    settings = ["dataset=folder", "dataset.classes=[a,b]", "dataset.loader.csv=mine/images.csv", f"export={export}",
                "dataset.loader.slices=[sex,{age:[40,60]}]", "dataset.loader.readers={R:first reader}"]  # fmt: skip
    manifests = [prepared(tmp_path, tmp_path / name, *settings) for name in ("one", "two")]
    assert manifests[0]["files"] == manifests[1]["files"], "the same input, the same bytes"
    assert manifests[0]["dataset"]["loader"]["slices"] == ["sex", {"age": [40, 60]}]
    for name in ("train", f"{export}_train"):
        rows = pq.read_table(tmp_path / "one" / f"{name}.parquet").to_pylist()
        assert [tags(row, "slices") for row in rows] == [{"sex": "F", "age": "under 40"}, {"sex": "", "age": "40-59"}]
        assert [tags(row, "readers") for row in rows] == [{"R": "a"}, {"R": ""}]
    as_pandas = pd.read_parquet(tmp_path / "one" / "train.parquet").to_dict("records")[0]
    assert json.loads(easyr1.answer(as_pandas))["extra_info"]["readers"] == [{"name": "R", "value": "a"}]


def test_huggingface_datasets_reads_them_also_where_there_are_none(tmp_path):
    import datasets

    write_table(tmp_path)
    base = ["dataset=folder", "dataset.classes=[a,b]", "dataset.loader.csv=mine/images.csv"]
    prepared(tmp_path, tmp_path / "out", *base)
    prepared(tmp_path, tmp_path / "more", *base, "dataset.loader.slices=[site]")
    files = [str(tmp_path / name / "train.parquet") for name in ("out", "more")]
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["extra_info"]["slices"] for row in rows] == [[], [], [{"name": "site", "value": "x"}],
                                                             [{"name": "site", "value": "y"}]]


def all_rows(out):
    return [row for split in ("train", "val", "test") for row in pq.read_table(out / f"{split}.parquet").to_pylist()]


def test_ham10000_has_its_metadata_as_slices(tmp_path, data_root):
    write_toy(data_root, "ham10000")
    prepared(data_root, tmp_path / "out", "dataset=ham10000")
    rows = all_rows(tmp_path / "out")
    assert {tuple(tags(row, "slices")) for row in rows} == {("sex", "age", "localization", "dx_type")}
    assert {tags(row, "slices")["sex"] for row in rows} == {"male", "female", ""}
    assert {tags(row, "slices")["age"] for row in rows} == {"under 30", "30-44", "45-59", "60-74", ""}


def test_real_ham10000_slices_are_the_metadatas(tmp_path, shared_data):
    prepared(shared_data, tmp_path / "out", "dataset=ham10000")
    known = pd.read_csv(shared_data / "ham10000" / "HAM10000_metadata.csv").set_index("image_id")
    rows = all_rows(tmp_path / "out")
    for row in rows:
        line, found = known.loc[row["extra_info"]["source_id"]], tags(row, "slices")
        assert found | {"age": ""} == {"sex": line.sex, "age": "", "localization": line.localization,
                                       "dx_type": line.dx_type}  # fmt: skip
        low = int(found["age"].split("-")[0].strip("+")) if found["age"][0].isdigit() else 0
        assert low <= line.age < {0: 30, 30: 45, 45: 60, 60: 75, 75: 200}[low]
    assert len(rows) == 42


@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_covid19_has_its_readers_and_its_source_and_the_label_is_the_consensus(tmp_path, data_root):
    write_toy(data_root, "covid19")
    prepared(data_root, tmp_path / "out", "dataset=covid19")
    rows = all_rows(tmp_path / "out")
    assert {tags(row, "slices")["dataset"] for row in rows} == {"Figure1-COVID-chestxray-dataset"}
    found = {row["extra_info"]["source_id"].split("/")[1]: (tags(row, "readers"), row["reward_model"]["ground_truth"])
             for row in rows}  # fmt: skip
    assert found["COVID-90000a.jpg"] == ({"R": "4", "D": "5"}, "5")
    assert found["COVID-30000.jpg"] == ({"R": "3", "D": ""}, "3")


def test_a_data_set_of_test_images_alone_is_an_external_test_set(tmp_path):
    write_table(tmp_path)
    settings = ["dataset=folder", "dataset.classes=[a,b]", "dataset.loader.csv=mine/alone.csv", "dataset.loader.test=1"]
    (tmp_path / "mine" / "alone.csv").write_text("image,label\n0.png,a\n1.png,b\n2.png,b\n")
    for more in ((), ("shots=10",), ("leakage=drop", "export=trl")):
        manifest = prepared(tmp_path, tmp_path / "out", *settings, "dataset.loader.val=0", *more)
        assert [manifest["splits"][split]["rows"] for split in ("train", "val", "test")] == [0, 0, 3]
        assert "only test images: an external test set, which trains nothing" in manifest["warnings"]
        files = {path.name for path in (tmp_path / "out").glob("*.parquet")}
        assert files == {"test.parquet"} | {f"{one[7:]}_test.parquet" for one in more if one.startswith("export=")}
        assert pq.read_table(tmp_path / "out" / "test.parquet").num_rows == 3
    with pytest.raises(InputError, match=r"must be shares .* or test=1 and val=0 for an external test set"):
        prepared(tmp_path, tmp_path / "no", *settings)
