"""Checks a Ray cluster before a recipe runs on it: every node has this package, the same versions, and the folder.

    python launch/check_nodes.py --folder /shared/me [--nodes 2]

A node without the package's entry point would start verl's workers without our patches and our platform.
"""

import argparse
import importlib.metadata
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TypedDict

try:
    from vrft_aug.cli import one_line_errors
    from vrft_aug.engine.run.run_folder import PACKAGES
    from vrft_aug.errors import InputError
except ModuleNotFoundError as missing:
    sys.exit(f"error: {sys.executable} has no {missing.name}: activate the environment before `ray start`")

PATIENCE = 300  # seconds in which all nodes must join


class Facts(TypedDict):
    """What one node has. versions: package -> version, or "missing". folder: whether the node sees the shared file."""

    versions: dict[str, str]
    plugin: bool
    folder: bool


def facts(packages: list[str], file: str) -> Facts:
    """Collect the facts of the node that runs this: package versions, our plugin for verl, access to `file`."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "missing"
    plugins = {entry.name for entry in importlib.metadata.entry_points(group="verl.plugins")}
    return {"versions": versions, "plugin": "vrft_aug" in plugins, "folder": os.path.exists(file)}


def complaints(node: str, found: Facts, expected: Facts, folder: Path) -> list[str]:
    """One line per problem of a node."""
    lines = []
    if not found["plugin"]:
        lines.append(f"node {node}: vrft-aug is not installed there: run `make setup HARDWARE=<profile>` on every node")
    for package, version in expected["versions"].items():
        if found["versions"][package] != version:
            there = found["versions"][package]
            lines.append(f"node {node}: {package} {there}, but {version} where the recipe runs: install the same lock")
    if not found["folder"]:
        lines.append(f"node {node} does not see what is written to {folder}: choose a folder that all nodes share")
    return lines


def check(folder: Path, nodes: int) -> str:
    """Return one line about the cluster that RAY_ADDRESS names. Raises InputError for the first problem."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.init(address="auto", log_to_driver=False, logging_level="error")
    give_up = time.monotonic() + PATIENCE
    while len(alive := [node for node in ray.nodes() if node["Alive"]]) < nodes:
        if time.monotonic() > give_up:
            raise InputError(f"{len(alive)} of {nodes} nodes joined the Ray cluster in {PATIENCE} s")
        time.sleep(1)
    with shared_file(folder) as file:
        here = facts(PACKAGES, file.name)
        task = ray.remote(num_cpus=0, max_retries=0)(facts)
        places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in alive]
        found = ray.get([task.options(scheduling_strategy=place).remote(PACKAGES, file.name) for place in places])
    names = [node["NodeManagerAddress"] for node in alive]
    wrong = [line for name, there in zip(names, found, strict=True) for line in complaints(name, there, here, folder)]
    if wrong:
        raise InputError(wrong[0])
    resources = ray.cluster_resources()
    return f"Ray cluster: {len(alive)} nodes, {resources.get('GPU', 0):.0f} GPUs, {resources.get('CPU', 0):.0f} CPUs"


def shared_file(folder: Path) -> IO[bytes]:
    """Make a temporary file in the shared folder. Raises InputError where that is not possible."""
    try:
        return tempfile.NamedTemporaryFile(dir=folder, prefix=".check-nodes-")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written where the recipe runs ({error.strerror}): give a folder that all nodes share"
        ) from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=1, help=f"wait up to {PATIENCE} s for this many nodes")
    args = parser.parse_args()
    print(check(args.folder, args.nodes), file=sys.stderr, flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
