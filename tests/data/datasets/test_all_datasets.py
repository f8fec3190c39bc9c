"""Every data set: files in the real layout, rows, prompts, knowledge, aliases, and full marks for the ground truth."""

import json

import pyarrow.parquet as pq
import pytest
import yaml
from repository import ROOT
from toy_data import CLASSIFIED, DATASETS, QUESTIONS, compose_config, dataset_yaml, write_toy

from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows.composer import scale_box
from vrft_aug.data.settings import Dataset
from vrft_aug.rewards import compose, compute_score

OBJECTIVES = sorted(path.stem for path in (ROOT / "conf" / "objective").glob("*.yaml"))
BOXED = ("phantom", "phantom_eight", "phantom_rare", "phantom_grade", "phantom_extent", "ham10000", "heel", "folder")
SMALL = ("dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=13")


def rows_of(folder, name):
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def prepare_toy(tmp_path, data_root, name, prompt, *overrides):
    write_toy(data_root, name)
    small = SMALL if name.startswith("phantom") else ()
    config = compose_config(f"dataset={name}", f"prompt={prompt}", f"data_root={data_root}", f"out={tmp_path / 'out'}",
                            "allow_unverified=true", *small, *overrides)
    manifest = prepare(config, None)
    return manifest, {split: rows_of(tmp_path / "out", split) for split in ("train", "val", "test")}


def right_answer(row, exact=False):
    """The response that deserves full marks by the ground truth, in the form that the row asks for.

    exact: its box is not rounded to whole pixels of the policy's frame.
    """
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
    said = f"\\boxed{{{truth}}}"
    if info["task"] == "localization":
        said = f"<answer>{stated_box(info, exact)}</answer>"
    if info["task"] == "detection":
        boxes = [scale_box(box, info["image_size"], info["frame_size"]) for box in json.loads(truth)]
        said = f"<answer>{boxes}</answer>"
    return in_form(info, said)


def in_form(info, said):
    said += " <confidence>1</confidence>"
    forms = {"think_first": f"<think>a look</think> {said}", "answer_only": said}
    return forms.get(info["form"], f"{said} <think>a look</think>")


def stated_box(info, exact):
    if not exact:
        return scale_box(info["box"], info["image_size"], info["frame_size"])
    scale = [frame / image for image, frame in zip(info["image_size"] * 2, info["frame_size"] * 2, strict=True)]
    return [side * by for side, by in zip(info["box"], scale, strict=True)]


@pytest.mark.parametrize("name", CLASSIFIED)
def test_classes_prompt_knowledge_and_right_answers_agree(tmp_path, data_root, name):
    dataset = dataset_yaml(name)
    prompt = "names" if name == "folder" else "knowledge"  # users' own images come with their own knowledge
    manifest, splits = prepare_toy(tmp_path, data_root, name, prompt, "prompt.aliases=true",
                                   "prompt.class_order=shuffled")
    rows = [row for split in splits.values() for row in split]
    assert {row["extra_info"]["label"] for row in rows} == set(range(len(dataset["classes"])))
    for row in rows:
        info, text = row["extra_info"], row["extra_info"]["prompt"]
        assert row["data_source"] == dataset["name"] and row["ability"] == info["task"] == dataset["task"]
        assert row["prompt"] == [{"role": "user", "content": "<image>" * len(row["images"]) + text}]
        assert row["reward_model"]["ground_truth"] == dataset["classes"][info["label"]]
        assert sorted(info["classes"]) == sorted(dataset["classes"])
        assert info["aliases"] == [(dataset.get("aliases") or {}).get(c, []) for c in info["classes"]]
        lines = [f"- {c}" for c in info["classes"]]
        if prompt == "knowledge":
            bank = reading.read_for(Dataset.of(dataset))["classes"]
            assert info["knowledge"] == [bank[c]["description"] for c in info["classes"]]
            lines = [f"{line}: {what}" for line, what in zip(lines, info["knowledge"], strict=True)]
            assert all(text.count(what) == 1 for what in info["knowledge"])
        lines[-1] += "."
        assert [line for line in text.splitlines() if line.startswith("- ")] == lines
    orders = {tuple(row["extra_info"]["classes"]) for row in rows}
    assert len(orders) > 1
    for objective in OBJECTIVES:
        if prompt == "names" and compose(objective).needs_knowledge(dataset["task"]):
            continue
        fits = [row for row in rows[: len(dataset["classes"])]]
        for row in fits:
            full(row, objective)
    assert manifest["splits"]["test"]["rows"] == len(splits["test"])


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_prompts_and_right_answers_agree(tmp_path, data_root, name):
    """Each row's options are its classes, in the prompt and for every objective that does not recite."""
    manifest, splits = prepare_toy(tmp_path, data_root, name, "confidence")
    for row in [row for split in splits.values() for row in split]:
        info = row["extra_info"]
        assert row["ability"] == info["task"] == "question" and row["data_source"] == name
        assert row["reward_model"]["ground_truth"] in info["classes"] and len(info["classes"]) > 1
        lines = info["prompt"].splitlines()
        assert [line.removeprefix("- ") for line in lines if line.startswith("- ")] == info["classes"]
        for objective in OBJECTIVES:
            if not compose(objective).needs_knowledge("question"):
                full(row, objective)
    assert manifest["splits"]["test"]["rows"] == len(splits["test"]) > 0


def full(row, objective):
    """The right answer loses nothing: every part is at its best, except recitation, which says nothing about it.

    By the grades of several readers (expected_mfrs) some grade loses nothing, but not always their consensus.
    """
    truth = row["reward_model"]["ground_truth"]
    answer = right_answer(row, exact=objective == "iou_continuous")  # which pays less for a rounded box
    result = compute_score(row["data_source"], answer, truth, row["extra_info"], objective=objective)
    assert result["acc"] == 1.0 and result["rejected"] == ""
    terms = compose(objective).terms[row["extra_info"]["task"]]
    if any(term.name == "expected_mfrs" for term in terms):
        answers = [in_form(row["extra_info"], f"\\boxed{{{grade}}}") for grade in row["extra_info"]["classes"]]
        scored = [compute_score(row["data_source"], one, truth, row["extra_info"], objective) for one in answers]
        assert 0 < result["expected_mfrs"] <= max(one["expected_mfrs"] for one in scored)
        result = max(scored, key=lambda one: one["score"])
    recited = sum(term.share(result["recitation"]) for term in terms if term.name == "recitation")
    assert result["score"] - recited == pytest.approx(1.0), (row["data_source"], objective, result)


@pytest.mark.parametrize("name", BOXED)
def test_localization_rows_and_right_boxes(tmp_path, data_root, name):
    _, splits = prepare_toy(tmp_path, data_root, name, "localize")
    for row in splits["train"][:8] + splits["test"][:8]:
        info = row["extra_info"]
        assert info["task"] == row["ability"] == "localization"
        assert json.loads(row["reward_model"]["ground_truth"]) == info["box"]
        assert dataset_yaml(name)["target"] in info["prompt"] and info["knowledge"] == []
        for objective in OBJECTIVES:
            full(row, objective)


FORMS = [f"prompt={name}" for name in ("no_think", "no_think_knowledge", "answer_first", "confidence")]
FORMS += [f"prompt=localize prompt.form={form}" for form in ("answer_only", "answer_first")]


@pytest.mark.parametrize("name", ["phantom", "phantom_grade"])
@pytest.mark.parametrize("form", FORMS)
def test_right_and_taught_answers_in_every_form(tmp_path, data_root, name, form):
    """What supervised fine-tuning teaches is the right answer in the form that the prompt asks for."""
    prompt, *more = form.removeprefix("prompt=").split()
    _, splits = prepare_toy(tmp_path, data_root, name, prompt, *more)
    taught = [row["messages"][1]["content"] for row in rows_of(tmp_path / "out", "sft_train")]
    for row, response in list(zip(splits["train"], taught, strict=True))[:8]:
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        paid = compute_score(name, response, truth, info, "iou")
        assert paid["score"] == pytest.approx(1.0) and (paid["stated_confidence"] is not None) == info["confidence"]
        for objective in OBJECTIVES:
            if info["knowledge"] or not compose(objective).needs_knowledge(info["task"]):
                full(row, objective)


@pytest.mark.parametrize("name", BOXED)
def test_detection_rows_and_right_boxes(tmp_path, data_root, name):
    """All boxes, from top to bottom; phantoms without a lesion are rows as well."""
    manifest, splits = prepare_toy(tmp_path, data_root, name, "localize_all")
    rows = splits["train"] + splits["test"]
    for row in rows[:26]:
        info, boxes = row["extra_info"], json.loads(row["reward_model"]["ground_truth"])
        assert info["task"] == row["ability"] == "detection" and info["box"] == []
        assert boxes == sorted(boxes, key=lambda box: (box[1], box[0]))
        assert f"for each {dataset_yaml(name).get('finding') or dataset_yaml(name)['target']}." in info["prompt"]
        for objective in OBJECTIVES:
            full(row, objective)
    assert manifest["splits"]["train"]["without_box"] == 0
    numbers = {len(json.loads(row["reward_model"]["ground_truth"])) for row in rows}
    assert numbers == {"phantom_grade": {0, 1, 2, 3, 4}, "phantom_extent": {0, 1}}.get(name, numbers)


@pytest.mark.parametrize("name", DATASETS)
def test_yaml_describes_the_data_set(name):
    dataset = dataset_yaml(name)
    assert dataset["name"] == name
    assert {"title", "modality", "organ", "target", "task", "classes", "licence", "source", "loader"} <= dataset.keys()
    assert dataset.get("paper_test", "whole") in ("whole", "quarter")


def test_medmnist_classes_are_the_published_ones():
    import medmnist

    for name in DATASETS:
        loader = dataset_yaml(name)["loader"]
        if loader["_target_"].endswith("medmnist.load"):
            published = list(medmnist.INFO[loader["flag"]]["label"].values())
            assert [c.split("(")[0] for c in published] == dataset_yaml(name)["classes"]


def test_every_knowledge_file_belongs_to_a_data_set():
    for path in reading.BANK.glob("*.yaml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["dataset"] == path.stem
        assert path.stem in DATASETS
