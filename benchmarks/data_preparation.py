"""Speed and memory of preparing data, beside the floor: encoding the same images and nothing else.

    python benchmarks/data_preparation.py                         # 10,000 and 100,000 images of 28 and 224 pixels
    python benchmarks/data_preparation.py --counts 1000 --sizes 28

Images are smooth pictures with pixel noise in a file of MedMNIST's form: 96 % train, 2 % val, 2 % test. Each
measurement runs in a process of its own; the memory is that process's peak. The floor encodes training images, already
in memory, to PNG and does nothing else. `share` is the floor's CPU time over ours: on an idle machine the ratio of the
two speeds (all work runs on one thread), and on a busy one still meaningful.
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

import numpy as np
from PIL import Image

SPLITS = {"train": 0.96, "val": 0.02, "test": 0.02}
CLASSES = 8  # of BloodMNIST, whose config the run uses
CONF = Path(__file__).resolve().parents[1] / "conf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 224])
    parser.add_argument("--folder", help="where to put the scratch files")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    print(f"{'px':>4} {'images':>8} {'prepare/s':>10} {'floor/s':>10} {'share':>6} {'peak MB':>8} {'before MB':>9}")
    for size in options.sizes:
        for count in options.counts:
            with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
                write_source(Path(scratch), size, count)
                floor, full = (run(kind, scratch) for kind in ("floor", "prepare"))
            share = floor["cpu_us"] / full["cpu_us"]
            print(f"{size:4} {count:8} {full['rate']:10.0f} {floor['rate']:10.0f} {share:6.2f} {full['peak_mb']:8.0f} "
                  f"{full['before_mb']:9.0f}", flush=True)


def run(kind: str, scratch: str) -> dict:
    command = [sys.executable, __file__, "--measure", kind, scratch]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def write_source(root: Path, size: int, count: int) -> None:
    """An npz of MedMNIST's form, written image by image."""
    rng = np.random.default_rng(0)
    path = root / "medmnist" / ("bloodmnist.npz" if size == 28 else f"bloodmnist_{size}.npz")
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for split, share in SPLITS.items():
            number = round(count * share)
            with archive.open(f"{split}_images.npy", "w", force_zip64=True) as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (number, size, size, 3)}
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(number):
                    file.write(picture(rng, size).tobytes())
            with archive.open(f"{split}_labels.npy", "w") as file:
                np.lib.format.write_array(file, (np.arange(number, dtype=np.uint8) % CLASSES)[:, None])


def picture(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3): smooth colours with noise of two grey levels, about as hard to compress as a photograph."""
    smooth = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(smooth) + rng.integers(-2, 3, (size, size, 3)), 0, 255).astype(np.uint8)


def measure(kind: str, root: Path) -> dict:
    """Images a second of one kind of work, and this process's peak memory before and after."""
    from hydra import compose, initialize_config_dir

    from vrft_aug.data import medmnist
    from vrft_aug.data.prepare import prepare
    from vrft_aug.data.sample import encode_png

    path = next((root / "medmnist").iterdir())
    size = int(path.stem.partition("_")[2] or 28)
    suffix = "" if size == 28 else f"_{size}"
    medmnist.info("bloodmnist")["MD5" + suffix] = medmnist.file_md5(path, 0)  # as if this file were the published one
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("prepare", ["dataset=blood", "prompt=knowledge", f"dataset.loader.size={size}",
                                     f"data_root={root}", f"out={root / 'out'}"])
    before = peak_mb()
    start, cpu = time.perf_counter(), time.process_time()
    if kind == "floor":
        labels = medmnist.read_labels(path, "train", CLASSES)
        read = medmnist.open_images(path, "train", len(labels), size)
        images = [read(i) for i in range(min(len(labels), 2000))]
        start, cpu = time.perf_counter(), time.process_time()
        done = sum(bool(encode_png(Image.fromarray(image))) for image in images)
    else:
        manifest = prepare(config, None)
        done = sum(split["rows"] for split in manifest["splits"].values())
    seconds, cpu_us = time.perf_counter() - start, (time.process_time() - cpu) / done * 1e6
    return {"rate": done / seconds, "cpu_us": cpu_us, "peak_mb": peak_mb(), "before_mb": before}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
