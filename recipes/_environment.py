"""Stops a recipe with one error line if its packages are not installed; every recipe imports this first."""

import importlib.util
import sys

for package in ("hydra", "vrft_aug"):
    if importlib.util.find_spec(package) is None:
        print(f"error: {sys.executable} has no package {package}: run `make setup` once, then "
              "`source .venv/bin/activate`, or start the recipe with .venv/bin/python "
              "(for GPUs: `make setup HARDWARE=gpu_2x80g` and .venv-gpu)", file=sys.stderr)  # fmt: skip
        sys.exit(2)
