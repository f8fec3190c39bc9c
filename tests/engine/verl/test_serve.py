"""Serving takes type and memory from the profile, which the machine must fit, and the length from the policy."""

import json
import subprocess
import sys

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.data.policy_files import SETTINGS
from vrft_aug.engine.run import gpu_checks
from vrft_aug.engine.verl.serve import command, settings
from vrft_aug.errors import InputError

PARSE = """
import json, os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
from vrft_aug.engine.verl import patches
patches.find_vllm_under_its_name()
from vllm.entrypoints.openai.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(json.loads(sys.argv[1]))
print(json.dumps({key: getattr(parsed, key) for key in sys.argv[2:]}))
"""


def made(folder, **settings) -> str:
    """A policy's folder, as a training of ours leaves it; returns the folder of the training."""
    policy = folder / "policy"
    policy.mkdir()
    (policy / "config.json").write_text("{}")
    about = {"name": "qwen2_5_vl_3b", "box_frame": "resized", "max_prompt_length": 2048, "max_response_length": 1024}
    (policy / SETTINGS).write_text(json.dumps(about | {"trainings": []} | settings))
    return str(folder)


def test_vllm_takes_the_command_with_the_policys_length_and_the_profiles_type(tmp_path):
    config, path = settings(made(tmp_path, max_length=1234), "gpu_2x80g")
    words = command(path, config, ["--port", "8001", "--max-num-seqs=7"])
    keys = ("model_tag", "host", "port", "dtype", "max_model_len", "enforce_eager", "max_num_seqs")
    done = subprocess.run([sys.executable, "-c", PARSE, json.dumps(words[1:]), *keys], capture_output=True, text=True,
                          cwd=ROOT, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == dict(zip(keys, (str(tmp_path / "policy"), "127.0.0.1", 8001, "bfloat16", 1234, False, 7),
                             strict=True))  # fmt: skip


@pytest.mark.parametrize(("trainings", "images"), [
    ([], 1), ([{"recipe": "sft"}], 1), ([{"recipe": "sft", "images": 2}, {"recipe": "grpo", "images": 1}], 2),
])  # fmt: skip
def test_a_prompt_may_have_as_many_images_as_in_the_trainings(tmp_path, trainings, images):
    words = command(*reversed(settings(made(tmp_path, max_length=900, trainings=trainings), "cpu")), [])
    (given,) = (word for word in words if word.startswith("--limit-mm-per-prompt="))
    assert json.loads(given.partition("=")[2]) == {"image": images, "video": 0}


def test_the_cpu_profile_serves_float32_without_compilation(tmp_path):
    words = command(*reversed(settings(made(tmp_path, max_length=900), "cpu")), [])
    assert {"--dtype=float32", "--enforce-eager", "--max-model-len=900"} <= set(words)
    assert not any("=None" in word for word in words)


@pytest.mark.parametrize(("hardware", "policy", "length"), [("cpu", None, 784), ("gpu_2x80g", None, 3072),
                                                            ("cpu", "qwen2_5_vl_7b", 3072)])  # fmt: skip
def test_a_policy_that_says_nothing_takes_the_length_of_its_config(hardware, policy, length):
    config, path = settings("Qwen/Some-Model", hardware, policy)
    assert (path, config.policy.max_length) == ("Qwen/Some-Model", length)


def test_a_folder_without_a_policy_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json; give a policy's folder"):
        settings(str(tmp_path), "cpu")
    started = [sys.executable, "-m", "vrft_aug.engine.verl.serve", str(tmp_path / "nowhere")]
    done = subprocess.run(started, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {tmp_path}/nowhere does not exist: give")


def test_a_machine_without_the_profiles_gpus_is_refused(tmp_path):
    if gpu_checks.look().devices:
        pytest.skip("this machine has a GPU")
    words = [made(tmp_path, max_length=900), "--hardware", "gpu_2x80g"]
    command = [sys.executable, "-m", "vrft_aug.engine.verl.serve", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=400)
    assert done.returncode == 2 and done.stderr.startswith("error: hardware=gpu_2x80g: GPU: "), done.stderr
