"""HAM10000, Heel, COVID-19 and users' own folders: real layouts, real gaps, and every way they can be wrong."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_data import compose_config, write_csv, write_mask, write_toy

from vrft_aug.data import covid19, ham10000, heel
from vrft_aug.data.prepare import prepare
from vrft_aug.data.sample import MAX_PIXELS, DataWarning
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
    with pytest.raises(InputError, match="1336 of 1364 images are absent.*partial=true"):
        prepared(shared_data, tmp_path / "out", "dataset=covid19")
    manifest = prepared(shared_data, tmp_path / "out", "dataset=covid19", "partial=true")
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


@pytest.mark.parametrize(("rule", "grade"), [("ceil_mean", 5), ("floor_mean", 4), ("max", 5), ("reader_r", 4),
                                             ("reader_d", 5)])
@pytest.mark.filterwarnings("ignore::vrft_aug.data.sample.DataWarning")
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
    with pytest.raises(InputError, match="0 folders for the class 'sever'.*10.1002/ima.23084"):
        list(heel.load(data_root, "test", **options))


def test_official_splits_of_a_folder_are_kept(tmp_path, data_root):
    write_toy(data_root, "folder")
    table = data_root / "folder" / "images.csv"
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    write_csv(table, [row | {"split": SPLITS[min(i // 28, 2)] if i < 36 else "test"} for i, row in enumerate(rows)])
    prepared(data_root, tmp_path / "out", "dataset=folder")
    assert {split: len(found) for split, found in rows_of(tmp_path / "out").items()} == {"train": 28, "val": 8, "test": 4}


def edit(path, change):
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    write_csv(path, change(rows))


def huge(path):
    Image.new("L", (8000, 5000)).save(path)


def bomb(path):
    Image.new("1", (20000, 20000)).save(path)


HARM = {  # data set, what goes wrong, and what the message says
    "no metadata": ("ham10000", lambda d: (d / "HAM10000_metadata.csv").unlink(), "HAM10000_metadata.csv: no such file; get"),
    "unreadable csv": ("ham10000", lambda d: (d / "HAM10000_metadata.csv").write_bytes(b"\xff\xfe\x00a,b\n\x81"),
                       "unreadable CSV"),
    "unbalanced quote": ("folder", lambda d: (d / "images.csv").write_text('image,label\n"a,negative\n'), "unreadable CSV"),
    "short line": ("folder", lambda d: (d / "images.csv").write_text("image,label\na.png\n"), "line 2: 2 fields"),
    "column missing": ("folder", lambda d: (d / "images.csv").write_text("image,class\na.png,x\n"), "no column label"),
    "image missing": ("ham10000", lambda d: (d / "HAM10000_images_part_1" / "ISIC_akiec00.jpg").unlink(),
                      "1 images absent, the first: ISIC_akiec00"),
    "mask without image": ("ham10000", lambda d: write_mask(d / "masks" / "ISIC_x_segmentation.png", (1, 1, 2, 2)),
                           "1 masks without an image, the first: ISIC_x"),
    "image without mask": ("ham10000", lambda d: (d / "masks" / "ISIC_mel00_segmentation.png").unlink(),
                           "1 images without a mask, the first: ISIC_mel00"),
    "empty mask": ("ham10000", lambda d: write_mask(d / "masks" / "ISIC_mel00_segmentation.png", (0, 0, 0, 0)),
                   "ISIC_mel00_segmentation.png: empty mask"),
    "mask of another size": ("ham10000", lambda d: write_mask(d / "masks" / "ISIC_mel00_segmentation.png",
                                                              (10, 10, 90, 90), (99, 99)),
                             r"ISIC_mel00: box .* does not fit the image of 60 x 45"),
    "unknown diagnosis": ("ham10000", lambda d: edit(d / "HAM10000_metadata.csv", lambda r: [r[0] | {"dx": "scc"}, *r[1:]]),
                          "line 2: dx=scc is none of akiec"),
    "id twice": ("ham10000", lambda d: edit(d / "HAM10000_metadata.csv", lambda r: [*r, r[0]]), "stands in line 2 too"),
    "score out of range": ("covid19", lambda d: edit(d / "metadata.csv", lambda r: [r[0] | {"Score R": "9"}, *r[1:]]),
                           "line 2: scores R=9"),
    "no score": ("covid19", lambda d: edit(d / "metadata.csv", lambda r: [r[0] | {"Score R": "", "Score D": ""}, *r[1:]]),
                 "line 2: scores R=empty, D=empty"),
    "unknown subset": ("covid19", lambda d: edit(d / "metadata.csv", lambda r: [r[0] | {"subset": "dev"}, *r[1:]]),
                       "line 2: subset=dev"),
    "empty class folder": ("heel", lambda d: [p.unlink() for p in (d / "Sever").iterdir()], "no images of class 'sever'"),
    "box without image": ("heel", lambda d: edit(d / "boxes.csv", lambda r: [*r, r[0] | {"image": "Normal/99.png"}]),
                          "boxes.csv: no image Normal/99.png"),
    "box not a number": ("heel", lambda d: edit(d / "boxes.csv", lambda r: [r[0] | {"x1": "left"}, *r[1:]]),
                         "line 2: the box"),
    "unknown label": ("folder", lambda d: edit(d / "images.csv", lambda r: [r[0] | {"label": "maybe"}, *r[1:]]),
                      "line 2: label 'maybe' is no class"),
    "empty class": ("folder", lambda d: edit(d / "images.csv", lambda r: [x for x in r if x["label"] == "positive"]),
                    "class 'negative' has no training image"),
    "group in two splits": ("folder", lambda d: edit(
        d / "images.csv", lambda r: [x | {"split": SPLITS[i % 3]} for i, x in enumerate(r)]), "is in train and in val"),
    "truncated image": ("folder", lambda d: (d / "png" / "3.png").write_bytes((d / "png" / "3.png").read_bytes()[:900]),
                        "3.png: damaged image"),
    "not an image": ("folder", lambda d: (d / "png" / "3.png").write_text("hello"), "3.png: not a readable image"),
    "no such image": ("folder", lambda d: (d / "png" / "3.png").unlink(), "3.png: no such image"),
    "40 megapixels": ("folder", lambda d: huge(d / "png" / "3.png"), "3.png: 8000 x 5000 pixels exceed 32 megapixels"),
    "decompression bomb": ("folder", lambda d: bomb(d / "png" / "3.png"), "3.png: decompression bomb"),
    "16-bit image": ("folder", lambda d: Image.fromarray(np.zeros((9, 9), np.uint16)).save(d / "png" / "3.png"),
                     "3.png: pixel mode I;16"),
}


@pytest.mark.parametrize("kind", HARM)
@pytest.mark.filterwarnings("ignore::vrft_aug.data.sample.DataWarning")
def test_bad_input_gets_one_clear_line_and_no_output(tmp_path, data_root, kind):
    name, harm, message = HARM[kind]
    write_toy(data_root, name)
    harm(data_root / name)
    boxed = "prompt=localize" if kind.startswith(("empty mask", "mask of")) else "prompt=names"
    with pytest.raises(InputError, match=message) as caught:
        prepared(data_root, tmp_path / "out", f"dataset={name}", boxed)
    assert "\n" not in str(caught.value) and ";" in str(caught.value)  # the fault; the remedy
    assert not (tmp_path / "out").exists()


def test_bad_input_leaves_an_earlier_run_as_it_was(tmp_path, data_root):
    write_toy(data_root, "folder")
    prepared(data_root, tmp_path / "out", "dataset=folder")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    edit(data_root / "folder" / "images.csv", lambda rows: [rows[0] | {"x1": "50", "x2": "20"}, *rows[1:]])
    with pytest.raises(InputError, match="does not fit"):
        prepared(data_root, tmp_path / "out", "dataset=folder", "prompt=localize")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


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
