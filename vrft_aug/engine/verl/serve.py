"""Serves a policy over HTTP on this machine by `vllm serve`, with the settings of the policy and a hardware profile.

    python -m vrft_aug.engine.verl.serve <policy> [--hardware cpu] [--policy tiny] [any option of `vllm serve`]

The plain `vllm` command of the CPU wheel 0.24.0 fails at its first line: it looks up the distribution `vllm`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from vrft_aug.cli import one_line_errors
from vrft_aug.configs import CONF, compose
from vrft_aug.data.policy_files import adopt, read_settings
from vrft_aug.engine.run.preflight import prepare_environment
from vrft_aug.engine.run.profile_checks import check_machine
from vrft_aug.errors import InputError


def main() -> None:
    """Start the server. A folder without a policy, and a machine without the profile's GPUs, end it with one line and
    exit code 2."""
    profiles, policies = (sorted(file.stem for file in (CONF / kind).glob("*.yaml")) for kind in ("hardware", "policy"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("path", help="a policy's folder, the folder of a finished training, or a hub id")
    parser.add_argument("--hardware", default="cpu", choices=profiles, help="profile of conf/hardware")
    parser.add_argument("--policy", choices=policies, help="of conf/policy: the length of a policy that no training "
                        "of ours has made (default: tiny on cpu, else qwen2_5_vl_3b)")  # fmt: skip
    arguments, others = parser.parse_known_args()
    with one_line_errors():
        config, path = settings(arguments.path, arguments.hardware, arguments.policy)
        check_machine(config.hardware, serving=True)
    prepare_environment(config.hardware)

    from vrft_aug.engine.verl import patches

    patches.find_vllm_under_its_name()
    from vllm.entrypoints.cli.main import main as vllm

    sys.argv = ["vllm", *command(path, config, others)]
    vllm()


def settings(path: str, hardware: str, policy: str | None = None) -> tuple[DictConfig, str]:
    """The config and the folder (or hub id) of a policy. A policy that a training of ours has made says its settings.

    Raises InputError for a folder that holds no policy.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        places = [place for place in (folder, folder / "policy") if (place / "config.json").is_file()]
        if not places:
            raise InputError(f"{path}: no config.json; give a policy's folder, or the folder of a finished training")
        path = str(places[0].resolve())
    elif path.count("/") != 1:
        raise InputError(f"{path} does not exist: give a policy's folder, that of a finished training, or a hub id")
    name = policy or ("tiny" if hardware == "cpu" else "qwen2_5_vl_3b")
    config = compose("evaluate", [f"hardware={hardware}", f"policy={name}", f"policy.path='{path}'"])
    return adopt(config, [f"policy={policy}"] if policy else []), path


def command(path: str, config: DictConfig, others: list[str]) -> list[str]:
    """The arguments of `vllm` that serve the policy at `path`. An option in `others` replaces ours."""
    hardware = config.hardware
    ours: dict[str, Any] = {
        "--host": "127.0.0.1",
        "--dtype": hardware.dtype,
        "--max-model-len": config.policy.max_length,
        "--max-num-seqs": hardware.vllm.max_num_seqs,
        "--max-num-batched-tokens": hardware.vllm.max_num_batched_tokens,
        "--tensor-parallel-size": hardware.vllm.tensor_parallel,
        "--gpu-memory-utilization": hardware.vllm.memory_fraction,
        "--kv-cache-memory-bytes": hardware.vllm.kv_cache_bytes,
        "--block-size": hardware.vllm.kv_block_tokens,
        "--mm-processor-cache-gb": hardware.vllm.image_cache_gb,
        "--limit-mm-per-prompt": json.dumps({"image": most_images(path), "video": 0}),
        "--mm-processor-kwargs": json.dumps({key: config.policy[key] for key in ("min_pixels", "max_pixels")}),
    }
    given = {option.partition("=")[0] for option in others}
    options = [f"{key}={value}" for key, value in ours.items() if value is not None and key not in given]
    eager = ["--enforce-eager"] if hardware.vllm.enforce_eager else []
    return ["serve", path, *options, *eager, "--skip-mm-profiling", *others]


def most_images(path: str) -> int:
    """The most images per prompt of the policy's trainings; 1 if no training of ours made it."""
    trainings = (read_settings(path) or {}).get("trainings", [])
    return max((one.get("images", 1) for one in trainings), default=1)


if __name__ == "__main__":
    main()
