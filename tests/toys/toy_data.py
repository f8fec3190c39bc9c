"""Writes toy data sets in the layouts of the real ones, and composes the config of conf/prepare.yaml."""

import csv
import functools
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from repository import ROOT
from toy_questions import write_questions

from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.settings import Dataset

DATASETS = sorted(path.stem for path in (ROOT / "conf" / "dataset").glob("*.yaml"))
QUESTIONS = ("pmc_vqa", "questions", "slake", "vqa_rad")  # those whose rows have options of their own
CLASSIFIED = [name for name in DATASETS if name not in QUESTIONS]
RNG_SEED = 7


def compose_config(*overrides: str, root: str = "prepare"):
    """conf/<root>.yaml with overrides, without the check of prompt lengths (these tests build no policy)."""
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return compose(root, ["policy.max_prompt_length=null", *overrides] if root == "prepare" else list(overrides))


def dataset_yaml(name: str) -> dict:
    """The config group `dataset`, as Hydra composes it."""
    return OmegaConf.to_container(_composed_dataset(name), resolve=True)


@functools.cache
def _composed_dataset(name: str) -> DictConfig:
    return compose_config(f"dataset={name}").dataset


def toy_dataset(**changes: object) -> Dataset:
    """The settings of a small data set with the classes a and b."""
    return Dataset.of(dataset_yaml("folder") | {"name": "toy", "classes": ["a", "b"]} | changes)


def pixels(sample: Sample) -> np.ndarray:
    """Decoded image of a sample, (H, W) or (H, W, 3) uint8."""
    return np.asarray(open_image(sample.source()).image)


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, np.uint8)


def write_npz(root: Path, flag: str, labels: dict[str, list[int]], size: int = 28, colour: bool = False) -> Path:
    """A MedMNIST file: {train,val,test}_{images,labels}, labels N x 1."""
    rng, arrays = np.random.default_rng(RNG_SEED), {}
    for split, values in labels.items():
        arrays[f"{split}_images"] = noise(rng, len(values), size, size, *([3] if colour else []))
        arrays[f"{split}_labels"] = np.array(values, np.uint8)[:, None]
    path = root / "medmnist" / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def write_medmnist(root: Path, dataset: dict) -> None:
    classes = list(range(len(dataset["classes"])))
    labels = {"train": classes * 4, "val": classes, "test": classes * 2}
    colour = dataset["name"] in ("retina", "derma", "blood")
    write_npz(root, dataset["loader"]["flag"], labels, dataset["loader"]["size"], colour)


def write_csv(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def write_image(path: Path, rng: np.random.Generator, width: int = 60, height: int = 45) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(rng, height, width, 3)).save(path)


def write_mask(path: Path, box: tuple[int, int, int, int], size: tuple[int, int] = (60, 45)) -> None:
    mask = np.zeros(size[::-1], np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def write_ham10000(root: Path, dataset: dict) -> None:
    """Ten lesions per diagnosis, every second one with two images, in two image folders as published."""
    rng, folder, rows = np.random.default_rng(RNG_SEED), root / "ham10000", []
    for code in dataset["loader"]["codes"]:
        for lesion in range(10):
            about = {"dx_type": "histo" if lesion % 3 else "follow_up",
                     "age": "" if lesion == 9 else f"{25 + 5 * lesion}.0",
                     "sex": ("male", "female", "unknown")[lesion % 3], "localization": ("back", "face")[lesion % 2]}
            rows += [{"lesion_id": f"HAM_{code}{lesion}", "image_id": f"ISIC_{code}{lesion}{copy}", "dx": code} | about
                     for copy in range(1 + lesion % 2)]
    for i, row in enumerate(rows):
        write_image(folder / f"HAM10000_images_part_{1 + i % 2}" / f"{row['image_id']}.jpg", rng)
        write_mask(folder / "masks" / f"{row['image_id']}_segmentation.png", (10, 5, 40, 30))
    write_csv(folder / "HAM10000_metadata.csv", rows)


def write_heel(root: Path, dataset: dict) -> None:
    rng, boxes = np.random.default_rng(RNG_SEED), []
    for name in ("Normal", "heel_spur", "Sever"):
        for i in range(10):
            write_image(root / "heel" / name / f"{i}.png", rng)
            boxes.append({"image": f"{name}/{i}.png", "x1": 1, "y1": 2, "x2": 30, "y2": 40})
    write_csv(root / "heel" / "boxes.csv", boxes)


def write_covid19(root: Path, dataset: dict) -> None:
    """Four images per grade, one patient with three images in two official subsets, some scores of reader D missing."""
    rng, rows = np.random.default_rng(RNG_SEED), []
    for grade in range(7):
        for i, subset in enumerate(("train", "train", "val", "test")):
            rows.append({"filename": f"COVID-{grade}{i:04d}.jpg", "Score R": grade, "Score D": grade if i else "",
                         "subset": subset})
    rows += [{"filename": f"COVID-90000{letter}.jpg", "Score R": 4, "Score D": 5, "subset": subset}
             for letter, subset in zip("abc", ("train", "train", "test"), strict=True)]
    rows = [{"dataset": "Figure1-COVID-chestxray-dataset", "label": "COVID-19", "Inaccurate labelling": "No"} | row
            for row in rows]
    for row in rows:
        write_image(root / "covid19" / row["dataset"] / row["filename"], rng)
    write_csv(root / "covid19" / "metadata.csv", rows)


def write_folder(root: Path, dataset: dict) -> None:
    rng, rows = np.random.default_rng(RNG_SEED), []
    for i in range(40):
        write_image(root / dataset["name"] / "png" / f"{i}.png", rng)
        rows.append({"image": f"png/{i}.png", "label": dataset["classes"][i % 2], "x1": 1, "y1": 2, "x2": 30, "y2": 40,
                     "group": f"patient {i // 4}"})
    write_csv(root / dataset["name"] / "images.csv", rows)


WRITERS = {
    "medmnist": write_medmnist, "ham10000": write_ham10000, "heel": write_heel, "covid19": write_covid19,
    "folder": write_folder, "questions": write_questions,
}


def write_toy(root: Path, name: str, **loader: object) -> dict:
    """Write toy files for conf/dataset/<name>.yaml in the layout that its loader reads; returns the YAML's content."""
    dataset = dataset_yaml(name)
    dataset["loader"] |= loader
    module = dataset["loader"]["_target_"].split(".")[-2]
    if module in WRITERS:  # phantom needs no files
        WRITERS[module](root, dataset)
    return dataset
