"""Measures speed and memory of preparing data, beside the floor: encoding the same images and nothing else.

    python benchmarks/data_preparation.py                             # 10,000 and 100,000 images of 28 and 224 pixels
    python benchmarks/data_preparation.py --sizes 28 --counts 10000   # one minute
    python benchmarks/data_preparation.py --sizes 224 --grey          # grey, as all MedMNIST sets of 100,000 images are

The images are smooth pictures with pixel noise, as hard to encode as photographs of skin. They lie in a file of
MedMNIST's form: 96 % train, 2 % val, 2 % test. Each measurement runs in a process of its own, floor and preparation in
turn; the median of the rounds counts. The floor is one process that encodes training images, which are already in
memory, with the same encoder and settings (`encode_png`); it takes as many images as fit into 300 MB. Preparation uses
one process per core beside its own, which is its default for so many images; `--workers 0` uses its own process alone.
`share` is preparation's speed divided by the floor's. The memory is the proportional memory of all its processes. The
script prints one line per case, then all cases as JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import machine
import numpy as np
import psutil
from PIL import Image

from vrft_aug.data.preparation import opening

SPLITS = {"train": 0.96, "val": 0.02, "test": 0.02}
FLAGS = {1: "tissuemnist", 3: "bloodmnist"}  # by channels; their configs are the ones the runs use
CLASSES = 8  # of both
FLOOR_BYTES = 300_000_000
CONF = Path(__file__).resolve().parents[1] / "conf"
COLUMNS = {"px": 4, "images": 8, "workers": 8, "prepare/s": 10, "floor/s": 10, "share": 6, "peak MB": 8, "start MB": 9}
MEMORY_SECONDS = 0.5  # between two looks at the memory
HEADER = " ".join(f"{name:>{width}}" for name, width in COLUMNS.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 224], help="28, 64, 128 or 224 pixels")
    parser.add_argument("--grey", action="store_true", help="one channel instead of three")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=opening.cores(), help="processes that encode; 0: none besides")
    parser.add_argument("--folder", help="where to put the scratch files: three times the images' bytes")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]), int(options.measure[2]))))
        return
    print(HEADER)
    cases = []
    for size in options.sizes:
        for count in options.counts:
            cases.append(case(size, count, 1 if options.grey else 3, options))
            print("{px:4} {images:8} {workers:8} {prepare_per_s:10.0f} {floor_per_s:10.0f} {share:6.2f} {peak_mb:8.0f} "
                  "{start_mb:9.0f}".format(**cases[-1]), flush=True)
    print(json.dumps(cases))


def case(size: int, count: int, channels: int, options: argparse.Namespace) -> dict:
    """One size and number of images."""
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        write_source(Path(scratch), size, count, channels)
        done = [[run(kind, scratch, options.workers) for kind in ("floor", "prepare")] for _ in range(options.rounds)]
    return {
        "px": size,
        "images": count,
        "channels": channels,
        "workers": options.workers,
        "prepare_per_s": median(full["rate"] for _, full in done),
        "floor_per_s": median(floor["rate"] for floor, _ in done),
        "share": median(full["rate"] / floor["rate"] for floor, full in done),
        "peak_mb": max(full["peak_mb"] for _, full in done),
        "start_mb": max(full["start_mb"] for _, full in done),
        "rounds": options.rounds,
    }


def run(kind: str, scratch: str, workers: int) -> dict:
    command = [sys.executable, __file__, "--measure", kind, scratch, str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, machine.tree_pss(process.pid))
            time.sleep(MEMORY_SECONDS)
        if process.returncode:
            sys.exit(process.stderr.read())
        return json.loads(process.stdout.read().splitlines()[-1]) | {"peak_mb": peak / 2**20}


def write_source(root: Path, size: int, count: int, channels: int) -> None:
    """An npz of MedMNIST's form, written image by image."""
    rng, flag = np.random.default_rng(0), FLAGS[channels]
    path = root / "medmnist" / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz")
    path.parent.mkdir()
    shape = (size, size, 3) if channels == 3 else (size, size)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for split, share in SPLITS.items():
            number = round(count * share)
            with archive.open(f"{split}_images.npy", "w", force_zip64=True) as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (number, *shape)}
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(number):
                    file.write(picture(rng, shape).tobytes())
            with archive.open(f"{split}_labels.npy", "w") as file:
                np.lib.format.write_array(file, (np.arange(number, dtype=np.uint8) % CLASSES)[:, None])


def picture(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth tones with noise of two grey levels, (H, W) or (H, W, 3) uint8."""
    knots = Image.fromarray(rng.integers(0, 256, (5, 5, *shape[2:]), np.uint8))
    smooth = np.asarray(knots.resize(shape[:2], Image.Resampling.BICUBIC), np.int16)
    return np.clip(smooth + rng.integers(-2, 3, shape, np.int8), 0, 255).astype(np.uint8)


def measure(kind: str, root: Path, workers: int) -> dict:
    """Images a second of one kind of work, and this process's memory before it."""
    from hydra import compose, initialize_config_dir

    from vrft_aug.data.datasets import medmnist
    from vrft_aug.data.datasets.image_files import encode_png
    from vrft_aug.data.preparation.prepare import prepare

    path = next((root / "medmnist").iterdir())
    flag, _, suffix = path.stem.partition("_")
    size, suffix = int(suffix or 28), suffix and f"_{suffix}"
    medmnist.info(flag)["MD5" + suffix] = medmnist.file_md5(path, 0)  # as if this file were the published one
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("prepare", [f"dataset={flag.removesuffix('mnist')}", "prompt=knowledge",
                                     f"dataset.loader.size={size}", f"data_root={root}", f"out={root / 'out'}",
                                     f"workers={workers}"])
    start_mb = psutil.Process().memory_full_info().pss / 2**20
    if kind == "floor":
        labels = medmnist.read_labels(path, "train", CLASSES)
        read = medmnist.open_images(path, "train", len(labels), size)
        images = [read(i) for i in range(min(len(labels), FLOOR_BYTES // read(0).nbytes))]
        start = time.perf_counter()
        done = sum(bool(encode_png(Image.fromarray(image))) for image in images)
    else:
        start = time.perf_counter()
        manifest = prepare(config, None)
        done = sum(split["rows"] for split in manifest["splits"].values())
    return {"rate": done / (time.perf_counter() - start), "start_mb": start_mb}


if __name__ == "__main__":
    main()
