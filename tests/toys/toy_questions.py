"""Writes questions about drawn phantoms in the published columns of VQA-RAD, SLAKE and PMC-VQA, and in our own."""

import functools
import itertools
import json
from pathlib import Path

import numpy as np
from PIL import Image

from vrft_aug.data.datasets import phantom
from vrft_aug.data.phantoms import findings

NUMBER = 24  # images; each has two closed questions and one open one
LOOK = {"contrast": (35, 90), "noise": (4, 12)}  # as the tiny policy has learnt
LETTERS = "ABCD"


@functools.cache
def drawn(number: int = NUMBER) -> list[tuple[np.ndarray, str, str]]:
    """Phantoms, as pixels with the shape and the place of what they show."""
    samples = phantom.load(None, "train", task="findings", task_seed=0, diseases=8, seed=5, train=number, val=0, test=0,
                           **LOOK)  # fmt: skip
    return [(sample.image, *words_of(sample.findings)) for sample in samples]


def words_of(text: str) -> tuple[str, str]:
    shape = next(shape for shape in findings.SHAPES if shape in text)
    return shape, next(place for place in findings.PLACES if place in text)


def facts(number: int = NUMBER):
    """(number of the image, shape, place, a shape that is asked for, whether it is there) of each image."""
    for i, (_, shape, place) in enumerate(drawn(number)):
        asked = shape if i % 2 else next(one for one in findings.SHAPES[i % 3 :] if one != shape)
        yield i, shape, place, asked, asked == shape


def four(right: str, among: tuple[str, ...], turn: int) -> list[str]:
    """Four choices with the right one among them, in an order that depends on `turn`."""
    others = itertools.islice((one for one in among if one != right), 3)
    found = [*others]
    found.insert(turn % 4, right)
    return found


def write_images(folder: Path, name: str, number: int = NUMBER) -> None:
    """name: with a field for the number of the image."""
    for i, (pixels, _, _) in enumerate(drawn(number)):
        path = folder / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def write_json(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), encoding="utf-8")


def vqa_rad_rows(number: int = NUMBER) -> list[dict]:
    """One file for all, with the blank behind CLOSED that the published file has in places."""
    rows: list[dict] = []
    for i, shape, place, asked, there in facts(number):
        about = {"image_name": f"synpic{i}.png", "image_organ": "CHEST" if i % 3 else "HEAD",
                 "phrase_type": "test_freeform" if i % 4 == 0 else "freeform"}
        rows += [
            about | {"answer": "Yes" if there else "No", "answer_type": "CLOSED ", "question_type": "PRES",
                     "question": f"Is there a {asked}?"},
            about | {"answer": "no" if place != "centre" else "yes", "answer_type": "CLOSED", "question_type": "POS",
                     "question": "Is the finding in the centre?"},
            about | {"answer": shape, "answer_type": "OPEN", "question_type": "ABN", "question": "What is seen?"},
        ]
    rows.append(rows[0] | {"answer": "left", "question": "Is it on the left or on the right?"})
    return [{"qid": n} | row for n, row in enumerate(rows, 1)]


def write_vqa_rad(root: Path, dataset: dict) -> None:
    folder, loader = root / dataset["name"], dataset["loader"]
    write_images(folder / loader["images"], "synpic{}.png")
    write_json(folder / loader["files"], vqa_rad_rows())


def slake_rows(number: int = NUMBER) -> list[dict]:
    rows: list[dict] = []
    for i, _, place, asked, there in facts(number):
        about = {"img_id": i, "img_name": f"xmlab{i}/source.png", "q_lang": "en", "location": "Lung",
                 "modality": "X-Ray", "base_type": "vqa", "triple": ["vhead", "_", "_"]}
        rows += [
            about | {"question": f"Does the picture contain a {asked}?", "answer": "Yes" if there else "No",
                     "answer_type": "CLOSED", "content_type": "Abnormality"},
            about | {"question": "Is the lesion in the upper left?", "answer": "Yes" if place == "upper left" else "No",
                     "answer_type": "CLOSED", "content_type": "Position"},
            about | {"question": "Where is the lesion?", "answer": place, "answer_type": "OPEN",
                     "content_type": "Position"},
            about | {"question": "图中有病变吗?", "answer": "有", "answer_type": "CLOSED", "q_lang": "zh",
                     "content_type": "Abnormality"},
        ]
    return [row | {"qid": n} for n, row in enumerate(rows)]


def split_of(i: int) -> str:
    return ("train", "train", "val", "test")[i % 4]


def write_slake(root: Path, dataset: dict) -> None:
    folder, loader = root / dataset["name"], dataset["loader"]
    write_images(folder / loader["images"], "xmlab{}/source.png")
    for split, name in loader["files"].items():
        write_json(folder / name, [row for row in slake_rows() if split_of(row["img_id"]) == split])


def pmc_rows(number: int = NUMBER) -> list[dict]:
    rows = []
    for i, shape, place, *_ in facts(number):
        asks = (("Which shape does the figure show?", shape, findings.SHAPES),
                ("Where is the finding in the figure?", place, findings.PLACES))
        for turn, (question, right, among) in enumerate(asks):
            choices = four(right, among, i + turn)
            listed = {f"Choice {letter}": f" {letter}:{one} " for letter, one in zip(LETTERS, choices, strict=True)}
            rows.append({"Figure_path": f"PMC{i}_F1.png", "Question": f" {question} ", "Answer": right, **listed,
                         "Answer_label": LETTERS[choices.index(right)]})  # fmt: skip
    return rows


def write_pmc_vqa(root: Path, dataset: dict) -> None:
    from toy_data import write_csv

    folder, loader = root / dataset["name"], dataset["loader"]
    write_images(folder / loader["images"], "PMC{}_F1.png")
    rows = pmc_rows()
    cut = len(rows) * 3 // 4
    write_csv(folder / loader["files"]["train"], rows[:cut])
    write_csv(folder / loader["files"]["test"], rows[cut:])


def own_rows(number: int = NUMBER) -> list[dict]:
    rows: list[dict] = []
    for i, shape, place, asked, there in facts(number):
        about = {"image": f"png/{i}.png", "group": f"patient {i // 2}"}
        rows += [
            about | {"question": f"Is there a {asked}?", "options": "", "answer": "Yes" if there else "no",
                     "type": "presence"},
            about | {"question": "Where is it?", "options": " | ".join(findings.PLACES), "answer": place,
                     "type": "place"},
            about | {"question": "What is it?", "options": "", "answer": shape, "type": "shape"},
        ]
    return rows


def write_own(root: Path, dataset: dict) -> None:
    from toy_data import write_csv

    folder = root / dataset["name"]
    write_images(folder / "png", "{}.png")
    write_csv(folder / dataset["loader"]["files"], own_rows())


OF_COLUMNS = {"own": write_own, "vqa_rad": write_vqa_rad, "slake": write_slake, "pmc_vqa": write_pmc_vqa}


def write_questions(root: Path, dataset: dict) -> None:
    """The toy files of a data set that questions.py loads, in the columns that its YAML names."""
    OF_COLUMNS[dataset["loader"]["columns"]](root, dataset)
