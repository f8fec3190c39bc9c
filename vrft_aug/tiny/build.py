"""Builds the tiny policy from a seed: tokenizer, network, training, and the folder in Hugging Face form.

    python -m vrft_aug.tiny.build --out build/policy --seed 0
    python -m vrft_aug.tiny.build --out build/qwen3_vl --architecture qwen3_vl

Two cores without bfloat16 took 36 minutes, and it needs g++ (torch.compile). The policy of the package was built so.
With --short it does a small part of the training, not compiled: the policy then knows the form of an answer.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
import torch.compiler
import torch.distributed
import torch.multiprocessing
import transformers

from vrft_aug.errors import InputError
from vrft_aug.tiny import probes, shipped
from vrft_aug.tiny import tokenizer as words
from vrft_aug.tiny.architectures import ARCHITECTURES, QWEN2_5_VL, Architecture, find
from vrft_aug.tiny.generating import generate
from vrft_aug.tiny.model import silence
from vrft_aug.tiny.training import Course, Trainer

PROCESSES = 2
PROBED = 500  # images per probe
SHORT = dict(reading=60, seeing=120, rows=12, images=24)  # of the course with --short


def build(out: Path, course: Course, architecture: Architecture = QWEN2_5_VL, short: bool = False) -> None:
    """Train the policy and write the folder `out`, which is replaced when all is done. short: nothing is compiled, and
    nothing is probed."""
    if not (short or shutil.which("g++")):
        raise InputError("the tiny policy's training compiles its loops and needs g++: install it (apt install g++)")
    start = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        torch.multiprocessing.spawn(train, (scratch, course, architecture.name, short), nprocs=PROCESSES)
        found = write(scratch, course, architecture, probed=0 if short else PROBED)
        record(scratch, course, found, minutes=(time.monotonic() - start) / 60)
        shutil.rmtree(out, ignore_errors=True)
        scratch.chmod(0o755)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"wrote {out}")


def train(rank: int, scratch: Path, course: Course, name: str, short: bool) -> None:
    """One of the processes that train; the first one saves the weights."""
    torch.set_num_threads(1)
    rendezvous = f"file://{scratch.resolve()}/.rendezvous"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=PROCESSES)
    architecture = find(name)
    tokenizer = architecture.train_tokenizer(words.read_corpus())
    model = architecture.make_model(tokenizer, course.seed)
    if not rank:
        millions = sum(one.numel() for one in model.parameters()) / 1e6
        say(f"{millions:.2f} M parameters, {len(tokenizer)} tokens in the vocabulary")
    with torch.compiler.set_stance("force_eager" if short else "default"):
        Trainer(model, tokenizer, course, say, architecture).run()
    if not rank:
        torch.save(model.state_dict(), scratch / "trained.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def write(
    folder: Path, course: Course, architecture: Architecture = QWEN2_5_VL, probed: int = PROBED
) -> dict[str, object]:
    """Write the trained policy in bfloat16 and return what the probes say about it. probed: images per probe."""
    tokenizer = architecture.train_tokenizer(words.read_corpus())
    model = architecture.make_model(tokenizer, course.seed)
    model.load_state_dict(torch.load(folder / "trained.pt", weights_only=True))
    silence(model, tokenizer)
    model.to(torch.bfloat16).save_pretrained(folder)
    architecture.make_processor(tokenizer).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part["dtype"] = "float32"  # what every stage computes in: bfloat16 is how the weights are stored
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for scrap in ("trained.pt", ".rendezvous"):
        (folder / scrap).unlink(missing_ok=True)
    for path in folder.iterdir():
        path.chmod(0o644)
    return probe(folder, probed, say, architecture.start) if probed else {}


def probe(
    folder: Path, number: int, report: Callable[[str], None], start: str = QWEN2_5_VL.start
) -> dict[str, object]:
    """The probes of a policy, on `number` images each; reported one line at a time. start: of a conversation."""
    answer = partial(generate, *transformers_parts(folder))
    found: dict[str, object] = {}
    for classes in (4, 8):
        for known in (True, False):
            name = f"{classes} classes, {'descriptions' if known else 'names alone'}"
            score = probes.look(answer, classes, known, number, start=start)
            report(f"{name}: {score}")
            found[name] = {key: round(value, 4) for key, value in asdict(score).items()}
    found["bank, text alone"] = round(probes.read_bank(answer, start=start), 4)
    report(f"bank, text alone: {found['bank, text alone']:.3f}")
    return found


def transformers_parts(folder: Path) -> tuple[transformers.PreTrainedModel, transformers.ProcessorMixin]:
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), transformers.AutoProcessor.from_pretrained(folder)


def record(folder: Path, course: Course, found: dict[str, object], minutes: float) -> None:
    """Write the build record with the checksum of each file."""
    sums = {path.name: shipped.sha256(path) for path in sorted(folder.iterdir())}
    content = {"course": asdict(course), "minutes": round(minutes, 1), "cores": os.cpu_count(),
               "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
               "probes": found, "images_per_probe": PROBED, "sha256": sums}  # fmt: skip
    (folder / shipped.RECORD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def say(line: str) -> None:
    print(f"tiny policy: {line.removeprefix('tiny policy: ')}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the tiny policy and print what it can do.")
    parser.add_argument("--out", type=Path, default=shipped.FOLDER, help="folder to write; default: the package's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=QWEN2_5_VL.name)
    parser.add_argument("--short", action="store_true", help="a short training, not compiled, without probes")
    given = parser.parse_args()
    if given.out == shipped.FOLDER and (given.short or given.architecture != shipped.SHIPPED):
        parser.error("--out=<folder> is needed: the package's own folder is for the policy that it ships")
    course = Course(seed=given.seed, **(SHORT if given.short else {}))
    build(given.out, course, find(given.architecture), given.short)


if __name__ == "__main__":
    main()
