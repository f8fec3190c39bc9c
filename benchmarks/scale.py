"""Measures the preparation of a folder of many JPEG files: speed beside the floor, memory, and two interruptions.

    python benchmarks/scale.py                                    # 100,000 files of 512 x 512 pixels
    python benchmarks/scale.py --files 3000 --shard-mb 16         # minutes

The files are smooth pictures with noise, made by the script, and listed in a CSV file for `dataset=folder`. The floor
reads and decodes files with the same code (`open_file`), encodes what is not kept as it is, and writes nothing: in one
process, as in data_preparation.py, and in as many as preparation uses for images. Both are measured before and after
the preparation, whose speed is divided by the mean. The memory is the proportional memory of all its processes.

Then the same preparation starts again in another folder. It is ended with SIGTERM after a third of its shards of
training rows and killed after two thirds, and each time the same command continues. The script fails unless all its
files have the bytes of the first preparation. It prints its figures as JSON, then a summary, with the time and the disk
space that a million such files would take at this speed.
"""

import argparse
import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import machine
import numpy as np
from PIL import Image

from vrft_aug.configs import CONF
from vrft_aug.data.datasets.image_files import open_file
from vrft_aug.data.preparation.opening import cores

PER_FOLDER = 1000  # files
FLOOR_FILES = 20_000  # at most
KNOTS, NOISE = 9, 12  # smooth tones, and noise in grey levels: 90 kB with 512 x 512 pixels, as a photograph has
MILLION = 1_000_000
FLOORS = ("one", "all")  # processes
LOOK_SECONDS = 0.05  # between two looks at the memory and the journal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=512, help="pixels of a side")
    parser.add_argument("--shard-mb", type=int, default=256, help="of a parquet file: what can be continued")
    parser.add_argument("--workers", type=int, default=cores(), help="processes that open images")
    parser.add_argument("--folder", help="where to put the scratch files: five times the images' bytes")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options, *map(Path, options.measure))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        figures = compare(options, Path(scratch))
    print(json.dumps(figures))
    print("{files} files of {size} x {size}, {kb_per_file:.0f} kB each: {per_s:.0f} per second, {share:.2f} of the "
          "floor in one process ({floor_per_s:.0f}), {share_of_all:.2f} of that in {workers} processes "
          "({floor_of_all_per_s:.0f}); peak {peak_mb:.0f} MB; interrupted twice, {continued} of {files} rows kept, the "
          "same bytes".format(**figures))  # fmt: skip
    print("a million at this speed: {hours_per_million:.1f} hours, {gb_per_million:.0f} GB of rows; ".format(**figures)
          + machine.describe())  # fmt: skip


def compare(options: argparse.Namespace, scratch: Path) -> dict:
    source = write_source(scratch / "raw" / "folder", options)
    floors = [run(options, scratch, kind) for kind in FLOORS]
    whole = run(options, scratch, "whole")
    floors += [run(options, scratch, kind) for kind in FLOORS]
    expected, disk = checksums(scratch / "whole"), size_of(scratch / "whole")
    shards = sum(name.startswith("train-") for name in expected)
    if shards < 3:
        sys.exit(f"error: {shards} shards of training rows cannot be interrupted twice; choose a smaller --shard-mb")
    shutil.rmtree(scratch / "whole")
    stopped = [run(options, scratch, "broken", number, shards * third // 3)
               for third, number in ((1, signal.SIGTERM), (2, signal.SIGKILL))]  # fmt: skip
    resumed = run(options, scratch, "broken")
    if checksums(scratch / "broken") != expected:
        sys.exit("error: the interrupted preparation has other bytes than the one without a break")
    one, all_ = (sum(floor["per_s"] for floor in floors[kind::2]) / 2 for kind in range(2))
    return {
        "files": options.files, "size": options.size, "workers": options.workers, "shard_mb": options.shard_mb,
        "kb_per_file": source / options.files / 1e3, "per_s": whole["per_s"], "seconds": whole["seconds"],
        "floor_per_s": one, "share": whole["per_s"] / one, "floor_of_all_per_s": all_,
        "share_of_all": whole["per_s"] / all_,
        "peak_mb": max(whole["peak_mb"], resumed["peak_mb"]), "continued": stopped[-1]["rows"],
        "hours_per_million": MILLION / whole["per_s"] / 3600, "gb_per_million": disk / options.files * MILLION / 1e9,
    }  # fmt: skip


def write_source(folder: Path, options: argparse.Namespace) -> int:
    """The files and their list. Returns the bytes of the files."""
    starts = range(0, options.files, PER_FOLDER)
    with ProcessPoolExecutor(options.workers) as pool:
        written = sum(pool.map(partial(write_folder, folder, options.files, options.size), starts))
    with (folder / "images.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["image", "label"])
        lines.writerows((name(i), ("negative", "positive")[i % 2]) for i in range(options.files))
    return written


def write_folder(folder: Path, files: int, size: int, start: int) -> int:
    rng, written = np.random.default_rng(start), 0
    for i in range(start, min(start + PER_FOLDER, files)):
        path = folder / name(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(rng, size).save(path, quality=90)
        written += path.stat().st_size
    return written


def picture(rng: np.random.Generator, size: int) -> Image.Image:
    knots = Image.fromarray(rng.integers(0, 256, (KNOTS, KNOTS, 3), np.uint8))
    smooth = np.asarray(knots.resize((size, size), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-NOISE, NOISE + 1, (size, size, 1), np.int16)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def name(number: int) -> str:
    return f"{number // PER_FOLDER:05d}/{number:07d}.jpg"


def run(options: argparse.Namespace, scratch: Path, kind: str, number: int = 0, shards: int = 0) -> dict:
    """One measurement in a process of its own. number: a signal, which it gets after so many finished shards."""
    command = [sys.executable, __file__, "--measure", str(scratch), kind, "--shard-mb", str(options.shard_mb),
               "--workers", str(options.workers), "--files", str(options.files)]  # fmt: skip
    journal, peak = scratch / kind / ".partial" / "journal.jsonl", 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            if not number:
                peak = max(peak, machine.tree_pss(process.pid))
            elif journal.exists() and journal.read_bytes().count(b"\n") > shards:  # its first line is no shard
                process.send_signal(number)
                process.wait()
            time.sleep(LOOK_SECONDS)
        text = process.stdout.read()
    if process.returncode != -number:
        sys.exit(f"error: {kind} ended with {process.returncode}, not {-number}")
    kept = {"rows": max(json.loads(line)["end"] for line in journal.read_text().splitlines()[1:])} if number else {}
    return {"peak_mb": peak / 2**20} | kept | (json.loads(text.splitlines()[-1]) if text else {})


def measure(options: argparse.Namespace, scratch: Path, kind: Path) -> dict:
    """Files per second of one kind of work."""
    if kind.name in FLOORS:
        paths = [scratch / "raw" / "folder" / name(i) for i in range(min(options.files, FLOOR_FILES))]
        start = time.perf_counter()
        if kind.name == FLOORS[0]:
            done = sum(map(decode, paths))
        else:
            with ProcessPoolExecutor(options.workers) as pool:
                done = sum(pool.map(decode, paths, chunksize=64))
    else:
        from hydra import compose, initialize_config_dir

        from vrft_aug.data.preparation.prepare import prepare

        with initialize_config_dir(str(CONF), version_base=None):
            config = compose("prepare", ["dataset=folder", "validation.total=null", f"data_root={scratch / 'raw'}",
                                         f"out={scratch / kind}", f"shard_mb={options.shard_mb}",
                                         f"workers={options.workers}"])  # fmt: skip
        start = time.perf_counter()
        done = sum(split["rows"] for split in prepare(config)["splits"].values())
    seconds = time.perf_counter() - start
    return {"per_s": done / seconds, "seconds": seconds}


def decode(path: Path) -> bool:
    return bool(open_file(path).encoded)


def checksums(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    main()
