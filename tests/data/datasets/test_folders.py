"""HAM10000, Heel, COVID-19 and users' own folders: real layouts, real gaps, and every kind of error."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_data import compose_config, write_csv, write_mask, write_toy

from vrft_aug.data.datasets import covid19, ham10000, heel
from vrft_aug.data.datasets.image_files import MAX_PIXELS
from vrft_aug.data.datasets.sample import DataWarning
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError

SPLITS = ("train", "val", "test")


def prepared(root, out, *overrides):
    return prepare(compose_config(f"data_root={root}", f"out={out}", *overrides), None)


def rows_of(out):
    return {split: pq.read_table(out / f"{split}.parquet").to_pylist() for split in SPLITS}


def test_real_ham10000_keeps_lesions_together(tmp_path, shared_data):
    for prompt in ("names", "localize"):
        prepared(shared_data, tmp_path / prompt, "dataset=ham10000", f"prompt={prompt}")
        groups = {split: {row["extra_info"]["group_id"] for row in rows}
                  for split, rows in rows_of(tmp_path / prompt).items()}
        assert sum(map(len, groups.values())) == len(set.union(*groups.values()))
        assert all(groups.values())
    assert sum(map(len, rows_of(tmp_path / "localize").values())) == 42


def test_ham10000_box_is_the_masks(data_root):
    dataset = write_toy(data_root, "ham10000")
    sample = next(iter(ham10000.load(data_root, "train", codes=dataset["loader"]["codes"], test=0.2, val=0.1, seed=0)))
    assert sample.bounding_box() == (10.0, 5.0, 40.0, 30.0)


def test_ham10000_without_masks_still_classifies(tmp_path, data_root):
    write_toy(data_root, "ham10000")
    for path in (data_root / "ham10000" / "masks").iterdir():
        path.unlink()
    prepared(data_root, tmp_path / "out", "dataset=ham10000")
    with pytest.raises(InputError, match="no image with a box, which prompt=localize needs"):
        prepared(data_root, tmp_path / "boxes", "dataset=ham10000", "prompt=localize")


def test_real_covid19_consensus_gaps_and_patients(tmp_path, shared_data):
    everything = ("dataset=covid19", "dataset.loader.exclude=[]")
    with pytest.raises(InputError, match=r"1336 of 1364 images are absent.*partial=true"):
        prepared(shared_data, tmp_path / "out", *everything)
    manifest = prepared(shared_data, tmp_path / "out", *everything, "partial=true")
    rows = [row for split in rows_of(tmp_path / "out").values() for row in split]
    with (shared_data / "covid19" / "metadata.csv").open(encoding="utf-8") as file:
        table = {f"{r['dataset']}/{r['filename']}": r for r in csv.DictReader(file)}
    assert len(rows) == 28
    for row in rows:
        source = table[row["extra_info"]["source_id"]]
        scores = [float(source[c]) for c in ("Score R", "Score D") if source[c]]
        assert row["reward_model"]["ground_truth"] == str(int(np.ceil(np.mean(scores))))
    assert any(not table[row["extra_info"]["source_id"]]["Score D"] for row in rows)
    assert any("1336 of 1364" in text for text in manifest["warnings"])
    assert any("39% and within one grade on 82% of the 313" in text for text in manifest["warnings"])
    homes = {}
    for row in rows:
        homes.setdefault(row["extra_info"]["group_id"], set()).add(row["extra_info"]["split"])
    assert all(len(splits) == 1 for splits in homes.values())
    assert sum(group.endswith("covid-00039") for group in homes) == 1


def test_real_covid19_leaves_out_inaccurate_labels_and_says_so(tmp_path, shared_data):
    manifest = prepared(shared_data, tmp_path / "out", "dataset=covid19", "partial=true")
    found = {row["extra_info"]["source_id"] for rows in rows_of(tmp_path / "out").values() for row in rows}
    with (shared_data / "covid19" / "metadata.csv").open(encoding="utf-8") as file:
        labelled = {f"{r['dataset']}/{r['filename']}": r["Inaccurate labelling"] for r in csv.DictReader(file)}
    here = {name for name in labelled if (shared_data / "covid19" / name).is_file()}
    assert found == {name for name in here if labelled[name] == "No"} and len(found) == 23
    assert ("55 of 1364 images with 'Inaccurate labelling' left out (dataset.loader.exclude)" in manifest["warnings"])


@pytest.mark.parametrize("column", ["Inaccurate", "Score R"])
def test_covid19_excludes_only_columns_that_say_yes_or_no(data_root, column):
    write_toy(data_root, "covid19")
    with pytest.raises(InputError, match=rf"metadata.csv has no column '{column}' .* some of \[Inaccurate labelling\]"):
        list(covid19.load(data_root, "train", exclude=[column]))


@pytest.mark.parametrize(("rule", "grade"), [("ceil_mean", 5), ("floor_mean", 4), ("max", 5), ("reader_r", 4),
                                             ("reader_d", 5)])
@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_covid19_consensus_rules_and_moved_patients(data_root, rule, grade):
    write_toy(data_root, "covid19")
    samples = list(covid19.load(data_root, "train", consensus=rule))
    assert [s.label for s in samples if s.group_id.endswith("covid-90000")] == [grade] * 3  # the third was in test
    assert len(list(covid19.load(data_root, "test", consensus=rule))) == 7


@pytest.mark.parametrize(("name", "patient"), [
    ("COVID-00039a.jpg", "covid-00039"), ("covid-19-pneumonia-58-day-10.jpg", "covid-19-pneumonia-58"),
    ("COVID-19 (91).png", "covid-19 (91)"), ("16660_3_1.jpg", "16660"), ("IM-0660-0001-0002.png", "im-0660"),
    ("lancet-case2a.jpg", "lancet"), ("radiol.2020201160.fig2b.jpeg", "radiol.2020201160"),
    ("34af7b68-8982-4bfd-bd8a-af266418906c.png", "34af7b68-8982-4bfd-bd8a-af266418906c"),
    ("figure1-5e7c1b8d98c29ab001275405-98-later.jpeg", "figure1-5e7c1b8d98c29ab001275405"),
])
def test_patient_from_a_file_name(name, patient):
    assert covid19.patient(name) == patient


def test_heel_folder_names_and_boxes(data_root):
    dataset = write_toy(data_root, "heel")
    options = {"classes": dataset["classes"], "test": 0.2, "val": 0.1, "seed": 0}
    splits = {split: list(heel.load(data_root, split, **options)) for split in SPLITS}
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 21, "val": 3, "test": 6}
    assert splits["train"][0].bounding_box() == (1.0, 2.0, 30.0, 40.0)
    (data_root / "heel" / "boxes.csv").unlink()
    assert all(s.box is None for s in heel.load(data_root, "test", **options))
    (data_root / "heel" / "Sever").rename(data_root / "heel" / "severe")
    with pytest.raises(InputError, match=r"0 folders for the class 'sever'.*10.1002/ima.23084"):
        list(heel.load(data_root, "test", **options))


def test_official_splits_of_a_folder_are_kept(tmp_path, data_root):
    write_toy(data_root, "folder")
    table = data_root / "folder" / "images.csv"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    splits = ["train"] * 28 + ["val"] * 8 + ["test"] * 4
    write_csv(table, [row | {"split": split} for row, split in zip(rows, splits, strict=True)])
    prepared(data_root, tmp_path / "out", "dataset=folder")
    found = rows_of(tmp_path / "out")
    assert all(row["extra_info"]["split"] == split for split in SPLITS for row in found[split])
    assert [len(found[split]) for split in SPLITS] == [28, 8, 4]


def edit(path, change):
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    write_csv(path, change(rows))


def huge(path):
    Image.new("L", (8000, 5000)).save(path)


def bomb(path):
    Image.new("1", (20000, 20000)).save(path)


def in_row_1(**changes):
    """An edit of the first row of a table."""
    return lambda path: edit(path, lambda rows: [rows[0] | changes, *rows[1:]])


def again(**changes):
    """The first row once more, changed."""
    return lambda path: edit(path, lambda rows: [*rows, rows[0] | changes])


def only(label):
    return lambda path: edit(path, lambda rows: [row for row in rows if row["label"] == label])


def mixed_splits(path):
    edit(path, lambda rows: [row | {"split": SPLITS[i % 3]} for i, row in enumerate(rows)])


def text(content):
    return lambda path: path.write_bytes(content.encode("latin-1"))


def cut(path):
    path.write_bytes(path.read_bytes()[:900])


def mask(*box, size=(60, 45)):
    return lambda path: write_mask(path, box, size)


def sixteen_bits(path):
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(path)


def emptied(path):
    for file in path.iterdir():
        file.unlink()


TABLE = "ham10000/HAM10000_metadata.csv"
IMAGE = "folder/png/3.png"
MASK = "ham10000/masks/ISIC_mel00_segmentation.png"
REMOVED = Path.unlink
HARM = {  # file, what happens to it, what the message says
    "no metadata": (TABLE, REMOVED, "HAM10000_metadata.csv: no such file; get"),
    "unreadable csv": (TABLE, text("\xff\xfe\x00a,b\n\x81"), "unreadable CSV"),
    "unbalanced quote": ("folder/images.csv", text('image,label\n"a,negative\n'), "unreadable CSV"),
    "short line": ("folder/images.csv", text("image,label\na.png\n"), "line 2: the header has 2 fields, this line 1"),
    "column missing": ("folder/images.csv", text("image,class\na.png,x\n"), "no column label"),
    "image missing": ("ham10000/HAM10000_images_part_1/ISIC_akiec00.jpg", REMOVED, "1 images absent.*ISIC_akiec00"),
    "mask without image": ("ham10000/masks/ISIC_x_segmentation.png", mask(1, 1, 2, 2), "1 masks without.*ISIC_x"),
    "image without mask": (MASK, REMOVED, "1 images without a mask, the first: ISIC_mel00"),
    "empty mask": (MASK, mask(0, 0, 0, 0), "ISIC_mel00_segmentation.png: empty mask"),
    "mask of another size": (MASK, mask(10, 10, 90, 90, size=(99, 99)), "ISIC_mel00: box .* image of 60 x 45"),
    "unknown diagnosis": (TABLE, in_row_1(dx="scc"), "line 2: dx=scc is none of akiec"),
    "id twice": (TABLE, again(), "is also in line 2"),
    "score out of range": ("covid19/metadata.csv", in_row_1(**{"Score R": "9"}), "line 2: scores R=9"),
    "no score": ("covid19/metadata.csv", in_row_1(**{"Score R": "", "Score D": ""}), "line 2: scores R=empty, D=empty"),
    "unknown subset": ("covid19/metadata.csv", in_row_1(subset="dev"), "line 2: subset 'dev'"),
    "empty class folder": ("heel/Sever", emptied, "no images of class 'sever'"),
    "box without image": ("heel/boxes.csv", again(image="Normal/99.png"), "line 32: no image 'Normal/99.png'"),
    "box not a number": ("heel/boxes.csv", in_row_1(x1="left"), "line 2: the box"),
    "unknown label": ("folder/images.csv", in_row_1(label="maybe"), "line 2: label 'maybe' is not a class"),
    "empty class": ("folder/images.csv", only("positive"), "class 'negative' has no training image"),
    "group in two splits": ("folder/images.csv", mixed_splits, "'patient 0' is in train .line 2. and in val"),
    "truncated image": (IMAGE, cut, "3.png: damaged image"),
    "not an image": (IMAGE, text("hello"), "3.png: not a readable image"),
    "no such image": (IMAGE, REMOVED, "line 5: no such image 'png/3.png'"),
    "40 megapixels": (IMAGE, huge, "3.png: 8000 x 5000 pixels exceed 32 megapixels"),
    "decompression bomb": (IMAGE, bomb, "3.png: decompression bomb"),
    "16-bit image": ("heel/Normal/3.png", sixteen_bits, "3.png: pixel mode I;16"),
}


@pytest.mark.parametrize("kind", HARM)
@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_bad_input_gets_one_clear_line_and_no_output(tmp_path, data_root, kind):
    file, harm, message = HARM[kind]
    name = file.split("/")[0]
    write_toy(data_root, name)
    harm(data_root / file)
    boxed = "prompt=localize" if kind.startswith(("empty mask", "mask of")) else "prompt=names"
    with pytest.raises(InputError, match=message) as caught:
        prepared(data_root, tmp_path / "out", f"dataset={name}", boxed)
    assert "\n" not in str(caught.value) and ";" in str(caught.value)  # the fault; the remedy
    assert not (tmp_path / "out").exists()


def test_bad_input_leaves_an_earlier_run_as_it_was(tmp_path, data_root):
    write_toy(data_root, "folder")
    prepared(data_root, tmp_path / "out", "dataset=folder")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    edit(data_root / "folder" / "images.csv", lambda rows: [rows[0] | {"x2": "90"}, *rows[1:]])
    with pytest.raises(InputError, match=r"images.csv line 2: png/0.png: box \[1.0, 2.0, 90.0, 40.0\] does not fit"):
        prepared(data_root, tmp_path / "out", "dataset=folder", "prompt=localize")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_an_output_that_is_a_file_is_refused(tmp_path, data_root):
    write_toy(data_root, "folder")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match=r"out: cannot be written"):
        prepared(data_root, tmp_path / "out", "dataset=folder")
    assert (tmp_path / "out").read_text() == "mine"


def test_partial_goes_on_with_a_warning(tmp_path, data_root):
    write_toy(data_root, "ham10000")
    (data_root / "ham10000" / "HAM10000_images_part_1" / "ISIC_akiec00.jpg").unlink()
    manifest = prepared(data_root, tmp_path / "out", "dataset=ham10000", "partial=true")
    assert any("1 images absent, the first: ISIC_akiec00" in text for text in manifest["warnings"])
    saved = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert saved == manifest


def test_the_limit_leaves_room_for_radiographs():
    assert 4280 * 3520 < MAX_PIXELS < 40_000_000
    assert issubclass(DataWarning, UserWarning)
