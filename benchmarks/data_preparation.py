"""Speed and memory of preparing data, beside the floor: encoding the same images and nothing else.

    python benchmarks/data_preparation.py                             # 10,000 and 100,000 images of 28 and 224 pixels
    python benchmarks/data_preparation.py --sizes 28 --counts 10000   # a minute
    python benchmarks/data_preparation.py --sizes 224 --grey          # grey, as all MedMNIST sets of 100,000 images are

Images are smooth pictures with pixel noise, as hard to encode as skin photographs, in a file of MedMNIST's form: 96 %
train, 2 % val, 2 % test. Each measurement runs in a process of its own, floor and preparation in turn, and the median
of the rounds counts; the memory is a process's peak. The floor encodes training images, already in memory, with the
same encoder and settings (`encode_png`), and does nothing else; it takes as many as fit in 300 MB. `share` is the
floor's CPU time over ours: on an idle machine the ratio of the two speeds (all work runs on one thread). On a busy one
it comes out lower, since preparation suffers more from caches that others fill. Prints a line a case, then all as JSON.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

SPLITS = {"train": 0.96, "val": 0.02, "test": 0.02}
FLAGS = {1: "tissuemnist", 3: "bloodmnist"}  # by channels; their configs are the ones the runs use
CLASSES = 8  # of both
FLOOR_BYTES = 300_000_000
CONF = Path(__file__).resolve().parents[1] / "conf"
COLUMNS = {"px": 4, "images": 8, "prepare/s": 10, "floor/s": 10, "share": 6, "us/image": 9, "peak MB": 8, "start MB": 9}
HEADER = " ".join(f"{name:>{width}}" for name, width in COLUMNS.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 224], help="28, 64, 128 or 224 pixels")
    parser.add_argument("--grey", action="store_true", help="one channel instead of three")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to put the scratch files: three times the images' bytes")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    print(HEADER)
    cases = []
    for size in options.sizes:
        for count in options.counts:
            cases.append(case(size, count, 1 if options.grey else 3, options.rounds, options.folder))
            print("{px:4} {images:8} {prepare_per_s:10.0f} {floor_per_s:10.0f} {share:6.2f} {cpu_us_per_image:9.0f} "
                  "{peak_mb:8.0f} {start_mb:9.0f}".format(**cases[-1]), flush=True)
    print(json.dumps(cases))


def case(size: int, count: int, channels: int, rounds: int, folder: str | None) -> dict:
    """One size and number of images, measured in `rounds` rounds."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        write_source(Path(scratch), size, count, channels)
        done = [(run("floor", scratch), run("prepare", scratch)) for _ in range(rounds)]
    return {
        "px": size,
        "images": count,
        "channels": channels,
        "prepare_per_s": median(full["rate"] for _, full in done),
        "floor_per_s": median(floor["rate"] for floor, _ in done),
        "share": median(floor["cpu_us"] / full["cpu_us"] for floor, full in done),
        "cpu_us_per_image": median(full["cpu_us"] for _, full in done),
        "peak_mb": max(full["peak_mb"] for _, full in done),
        "start_mb": max(full["start_mb"] for _, full in done),
        "rounds": rounds,
    }


def run(kind: str, scratch: str) -> dict:
    command = [sys.executable, __file__, "--measure", kind, scratch]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


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


def measure(kind: str, root: Path) -> dict:
    """Images a second of one kind of work, its CPU time an image, and this process's memory before and at its peak."""
    from hydra import compose, initialize_config_dir

    from vrft_aug.data import medmnist
    from vrft_aug.data.prepare import prepare
    from vrft_aug.data.sample import encode_png

    path = next((root / "medmnist").iterdir())
    flag, _, suffix = path.stem.partition("_")
    size, suffix = int(suffix or 28), suffix and f"_{suffix}"
    medmnist.info(flag)["MD5" + suffix] = medmnist.file_md5(path, 0)  # as if this file were the published one
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("prepare", [f"dataset={flag.removesuffix('mnist')}", "prompt=knowledge",
                                     f"dataset.loader.size={size}", f"data_root={root}", f"out={root / 'out'}"])
    start_mb = peak_mb()
    if kind == "floor":
        labels = medmnist.read_labels(path, "train", CLASSES)
        read = medmnist.open_images(path, "train", len(labels), size)
        images = [read(i) for i in range(min(len(labels), FLOOR_BYTES // read(0).nbytes))]
        start, cpu = time.perf_counter(), time.process_time()
        done = sum(bool(encode_png(Image.fromarray(image))) for image in images)
    else:
        start, cpu = time.perf_counter(), time.process_time()
        manifest = prepare(config, None)
        done = sum(split["rows"] for split in manifest["splits"].values())
    seconds, cpu_us = time.perf_counter() - start, (time.process_time() - cpu) / done * 1e6
    return {"rate": done / seconds, "cpu_us": cpu_us, "peak_mb": peak_mb(), "start_mb": start_mb}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
