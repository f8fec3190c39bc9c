"""Closed questions: the published columns, what is left out, splits without a shared image, options, mistakes."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from toy_data import compose_config, dataset_yaml, write_csv, write_toy
from toy_questions import facts, own_rows, pmc_rows, slake_rows, split_of, vqa_rad_rows

from vrft_aug.data.datasets.sample import SPLITS, DataWarning
from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.settings import Dataset
from vrft_aug.errors import InputError


def prepared(root, out, name, *overrides):
    manifest = prepare(compose_config(f"dataset={name}", f"data_root={root}", f"out={out}", *overrides), None)
    return manifest, {split: pq.read_table(out / f"{split}.parquet").to_pylist() for split in SPLITS}


def samples(root, name, split="train", **loader):
    dataset = dataset_yaml(name)
    return list(Dataset.of(dataset | {"loader": dataset["loader"] | loader}).load(str(root))(split))


def everything(root, name, **loader):
    return [one for split in SPLITS for one in samples(root, name, split, **loader)]


def asked(found):
    """{(image, question): (options in any order, answer, type)}."""
    return {(one.image.name, one.question.text): (sorted(one.question.options), one.question.answer,
                                                  one.slices.get("type")) for one in found}  # fmt: skip


@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_vqa_rad_in_its_published_columns(data_root):
    write_toy(data_root, "vqa_rad")
    wanted = {(row["image_name"], row["question"]): (["no", "yes"], row["answer"].lower(), row["question_type"])
              for row in vqa_rad_rows() if row["answer"].lower() in ("yes", "no")}
    assert asked(everything(data_root, "vqa_rad")) == wanted and len(wanted) == 48


@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_slake_in_its_published_columns_and_splits(data_root):
    write_toy(data_root, "slake")
    for split in SPLITS:
        rows = [row for row in slake_rows() if split_of(row["img_id"]) == split and row["q_lang"] == "en"]
        wanted = {("source.png", row["question"], row["img_id"]): row["answer"].lower() for row in rows
                  if row["answer_type"] == "CLOSED"}
        found = {(one.image.name, one.question.text, int(one.image.parent.name.removeprefix("xmlab"))):
                 one.question.answer for one in samples(data_root, "slake", split)}
        assert found == wanted and len(found) > 10
        assert {one.slices["type"] for one in samples(data_root, "slake", split)} == {"Abnormality", "Position"}


def test_pmc_vqa_in_its_published_columns(data_root):
    write_toy(data_root, "pmc_vqa")
    wanted = {(row["Figure_path"], row["Question"].strip()):
              (sorted(row[f"Choice {letter}"].strip()[2:] for letter in "ABCD"), row["Answer"], None)
              for row in pmc_rows()}
    found = everything(data_root, "pmc_vqa")
    assert asked(found) == wanted and len(found) == 48
    tested = {one.image.name for one in samples(data_root, "pmc_vqa", "test")}
    assert tested == {f"PMC{i}_F1.png" for i in range(18, 24)}
    assert {one.question.options.index(one.question.answer) for one in found} == {0, 1, 2, 3}


@pytest.mark.parametrize("change", [
    lambda row: {"Answer": row.pop("Answer_label")},
    lambda row: {"Answer": f"{row['Answer_label']}: {row['Answer']}", "Answer_label": ""},
    lambda row: {"Answer": row["Answer"].upper(), "Answer_label": ""},
])
def test_the_right_choice_of_pmc_vqa_is_a_letter_or_a_text(data_root, change):
    write_toy(data_root, "pmc_vqa")
    before = asked(samples(data_root, "pmc_vqa", "test"))
    rows = pmc_rows()[-12:]
    write_csv(data_root / "pmc_vqa" / "test.csv", [row | change(row) for row in rows])
    assert asked(samples(data_root, "pmc_vqa", "test")) == before


@pytest.mark.parametrize(("name", "warning"), [
    ("questions", ["open questions: 24 left out"]),
    ("vqa_rad", ["closed questions without listed options, answered neither by yes nor by no: 1 left out",
                 "open questions: 24 left out"]),
    ("slake", ["open questions: 24 left out", "questions in another language than q_lang=en: 24 left out"]),
    ("pmc_vqa", []),
])  # fmt: skip
def test_what_is_left_out_is_counted(tmp_path, data_root, name, warning):
    write_toy(data_root, name)
    manifest, splits = prepared(data_root, tmp_path / "out", name)
    assert manifest["warnings"] == warning
    assert sum(map(len, splits.values())) == 48


@pytest.mark.parametrize("name", ["questions", "vqa_rad", "slake", "pmc_vqa"])
@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_no_image_is_in_two_splits(tmp_path, data_root, name):
    write_toy(data_root, name)
    manifest, splits = prepared(data_root, tmp_path / "out", name)
    images = {split: {row["images"][0]["bytes"] for row in rows} for split, rows in splits.items()}
    assert sum(map(len, images.values())) == len(set.union(*images.values())) == 24
    assert manifest["leakage"]["exact"] == 0
    by_group = Counter(row["extra_info"]["group_id"] for rows in splits.values() for row in rows)
    assert set(by_group.values()) == ({4} if name == "questions" else {2})  # two images per patient, two questions each


def test_a_group_column_keeps_patients_together(data_root):
    write_toy(data_root, "slake")
    for split in SPLITS:
        path = data_root / "slake" / dataset_yaml("slake")["loader"]["files"][split]
        rows = json.loads(path.read_text())
        path.write_text(json.dumps([row | {"patient": f"{split} {row['img_id'] // 8}"} for row in rows]))
    with pytest.warns(DataWarning):
        groups = {one.group_id for one in samples(data_root, "slake", group="patient")}
    assert groups == {f"train {n}" for n in range(3)}


def test_options_are_shuffled_by_seed_and_row_alone(data_root):
    write_toy(data_root, "pmc_vqa")
    first, again, other, plain = (
        [one.question.options for one in samples(data_root, "pmc_vqa", "test", **change)]
        for change in ({}, {}, {"seed": 1}, {"shuffle": False})
    )  # fmt: skip
    assert first == again and first != other
    assert plain == [tuple(row[f"Choice {letter}"].strip()[2:] for letter in "ABCD") for row in pmc_rows()[36:]]
    rows = pmc_rows()
    write_csv(data_root / "pmc_vqa" / "test.csv", rows[36:] + rows[36:38])  # more lines change no earlier one
    assert [one.question.options for one in samples(data_root, "pmc_vqa", "test")][: len(first)] == first


def test_the_order_of_a_test_question_follows_no_training_seed(tmp_path, data_root):
    write_toy(data_root, "questions")
    one, other = (prepared(data_root, tmp_path / seed, "questions", f"seed={seed}")[1]["test"] for seed in "01")
    assert [row["extra_info"]["classes"] for row in one] == [row["extra_info"]["classes"] for row in other]


def test_shots_count_questions_in_total(tmp_path, data_root):
    write_toy(data_root, "questions")
    manifest, splits = prepared(data_root, tmp_path / "out", "questions", "shots=10")
    assert len(splits["train"]) == manifest["labels"]["train"] == 10
    with pytest.raises(InputError, match=r"shots=500: class 'question' has 36 training images; use shots=36 or less"):
        prepared(data_root, tmp_path / "more", "questions", "shots=500")


def test_the_same_rows_twice(tmp_path, data_root):
    write_toy(data_root, "questions")
    files = [prepared(data_root, tmp_path / name, "questions")[0]["files"] for name in "ab"]
    assert files[0] == files[1]


@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_vqa_rads_own_test_questions(data_root):
    """Its authors ask about the same images in training and test: refused, or the training's questions are left out."""
    write_toy(data_root, "vqa_rad")
    rows = vqa_rad_rows()
    rows[1]["phrase_type"] = "freeform"  # of an image whose other questions are for the test
    (data_root / "vqa_rad" / "VQA_RAD Dataset Public.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"synpic0.png' is in two splits: .*entry 1 is in test, .*entry 2 in train; .*"
                                         r"shared=drop"):
        samples(data_root, "vqa_rad", published_split=True)
    with pytest.warns(DataWarning, match="image or group that a later split has: 1 left out"):
        found = {split: samples(data_root, "vqa_rad", split, published_split=True, shared="drop") for split in SPLITS}
    assert {one.image.name for one in found["test"]} == {f"synpic{i}.png" for i in range(0, 24, 4)}
    assert len(found["test"]) == 11 and len(found["train"]) + len(found["val"]) == 36 and found["val"]


def test_splits_that_a_column_names(data_root):
    write_toy(data_root, "questions")
    rows = [row | {"split": split_of(int(row["group"].split()[1]))} for row in own_rows()]
    write_csv(data_root / "questions" / "questions.csv", rows)
    with pytest.warns(DataWarning):
        found = {split: {one.group_id for one in samples(data_root, "questions", split)} for split in SPLITS}
    assert found == {split: {f"patient {n}" for n in range(12) if split_of(n) == split} for split in SPLITS}


def write_one(data_root, **changes):
    """The toy CSV with a changed second line."""
    write_toy(data_root, "questions")
    first, *rest = own_rows()
    write_csv(data_root / "questions" / "questions.csv", [first | changes, *rest])


@pytest.mark.parametrize(("changes", "message"), [
    ({"options": "left|right", "answer": "up"}, r"questions.csv line 2: one of the questions whose answer is none of"),
    ({"options": "left|Left |up", "answer": "up"}, r"line 2: one of the questions with equal options"),
    ({"options": "up", "answer": "up"}, r"line 2: one of the questions with fewer than two options"),
    ({"options": "a} b|c", "answer": "c"}, r"line 2: one of the questions with an option that \\boxed\{\} cannot hold"),
    ({"question": " "}, r"line 2: one of the questions without a text"),
    ({"image": "png/none.png"}, r"line 2: no such image 'png/none.png'"),
    ({"image": "../0.png"}, r"line 2: '../0.png' leaves the folder of the table"),
    ({"question": "Is <image> one?"}, r"line 2: the prompt of questions contains '<image>', which marks the image"),
])  # fmt: skip
def test_a_mistake_in_the_users_own_csv_is_one_line(tmp_path, data_root, changes, message):
    write_one(data_root, **changes)
    with pytest.raises(InputError, match=message) as error:
        prepared(data_root, tmp_path / "out", "questions")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
@pytest.mark.parametrize(("loader", "message"), [
    ({"columns": "medvqa"}, "dataset.loader.columns=medvqa: must be one of own, vqa_rad, slake, pmc_vqa"),
    ({"shared": "keep"}, "dataset.loader.shared=keep: must be one of refuse, drop"),
    ({"shuffle": "yes"}, "dataset.loader.shuffle=yes: must be true or false"),
    ({"published_split": True}, "published_split=true: the columns own name no test questions"),
    ({"files": {"training": "questions.csv"}}, r"dataset.loader.files=.*: must be a file, or \{train: <file>"),
    ({"files": "none.csv"}, r"none.csv: no such file; write one line per question"),
    ({"files": "list.json"}, r"list.json: must be a list of objects, one per question"),
    ({"files": "broken.json"}, r"broken.json: unreadable JSON"),
    ({"columns": "vqa_rad"}, r"questions.csv: no column image_name, answer_type, question_type; .*put the published"),
    ({"group": "patient"}, r"dataset.loader.group: .*questions.csv has no column 'patient'"),
    ({"slices": ["site"]}, r"dataset.loader.slices: .*questions.csv has no column 'site'"),
])  # fmt: skip
def test_a_setting_that_cannot_be_is_one_line(data_root, loader, message):
    write_toy(data_root, "questions")
    (data_root / "questions" / "list.json").write_text("{}")
    (data_root / "questions" / "broken.json").write_text("[{")
    with pytest.raises(InputError, match=message) as error:
        samples(data_root, "questions", **loader)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("overrides", "message"), [
    (["prompt=knowledge"], "prompt.knowledge=true: dataset=questions has closed questions, whose options differ"),
    (["prompt=names", "prompt.aliases=true"], "prompt.aliases=true: dataset=questions has closed questions"),
    (["prompt=localize"], "prompt=localize asks for a localization and dataset=questions has closed questions"),
    (["prompt=names", "prompt.task=grading"], "prompt=names asks for a grading and dataset=questions has closed"),
    (["prompt=names", "dataset=phantom", "prompt.task=question"], "prompt=names asks closed questions, and dataset=ph"),
    (["prompt=names", "dataset=phantom", "prompt.template=question"], "asks closed questions, and dataset=phantom has"),
])  # fmt: skip
def test_a_prompt_that_does_not_fit_is_one_line(tmp_path, data_root, overrides, message):
    write_toy(data_root, "questions")
    with pytest.raises(InputError, match=message) as error:
        prepared(data_root, tmp_path / "out", "questions", *overrides)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_there_is_no_knowledge_to_draft():
    with pytest.raises(InputError, match=r"dataset=slake has closed questions, .* no knowledge to draft or to review"):
        reading.path_of(Dataset.of(dataset_yaml("slake")))


@pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")
def test_a_pretext_is_asked_about_the_images_of_questions(tmp_path, data_root):
    write_toy(data_root, "questions")
    _, splits = prepared(data_root, tmp_path / "out", "questions", "prompt=rotation")
    assert {row["extra_info"]["task"] for row in splits["train"]} == {"classification"}
    assert all(row["extra_info"]["classes"] == ["0", "1", "2", "3"] for row in splits["train"])


def test_the_toys_have_both_answers():
    """Otherwise the tests above could not fail for a loader that always says yes."""
    assert {there for *_, there in facts()} == {True, False}
