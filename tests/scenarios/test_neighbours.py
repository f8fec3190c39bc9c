"""Programs beside ours: a Ray cluster of somebody else is left alone, and `vllm serve` serves our policy."""

import base64
import io
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, env=os.environ | env, timeout=900
    )


LIST = """
import json, sys, ray
from ray._private import state
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
alive = sum(node["Alive"] for node in ray.nodes())
print(json.dumps({"nodes": alive, "jobs": len(state.jobs()), "actors": len(state.actors())}))
"""


def test_somebody_elses_ray_cluster_is_neither_joined_nor_stopped(tmp_path):
    from ray.util import get_node_ip_address

    address = f"{get_node_ip_address()}:{free_port()}"
    start = ["start", "--head", "--block", f"--port={address.split(':')[1]}", "--num-cpus=1"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    neighbour = subprocess.Popen(
        [BIN / "ray", *start, "--include-dashboard=false"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
    )  # fmt: skip
    try:
        assert listed(address, env) == {"nodes": 1, "jobs": 1, "actors": 0}  # the job is the one that lists
        small = ["dataset.loader.train=32", "dataset.loader.val=16", "dataset.loader.test=16"]
        assert python("recipes/prepare.py", *small, f"out={tmp_path / 'rows'}").returncode == 0
        steps = ["trainer.total_training_steps=1", "trainer.save_freq=1", "trainer.val_before_train=false"]
        run = python("recipes/grpo.py", f"parquet={tmp_path / 'rows'}", "schedule.batch_size=8", *steps,
                     "schedule.mini_batch_size=8", f"out={tmp_path / 'run'}", RAY_ADDRESS=address)  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert "Started a local Ray instance" in (tmp_path / "run" / "log.txt").read_text()
        assert listed(address, env) == {"nodes": 1, "jobs": 2, "actors": 0}  # the two that listed
    finally:
        neighbour.terminate()
        neighbour.wait(60)


def listed(address: str, env: dict[str, str]) -> dict[str, int]:
    """Count the nodes, jobs and actors of a cluster, in a new process, since Ray keeps a token until it ends."""
    for _ in range(20):  # attempts, until the cluster has started
        command = [sys.executable, "-c", LIST, address]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
        time.sleep(2)
    raise AssertionError(done.stderr[-3000:])


def test_vllm_serves_the_tiny_policy(tmp_path):
    from vrft_aug.tiny import shipped

    port = free_port()
    command = [sys.executable, "-m", "vrft_aug.engine.verl.serve", shipped.folder()]
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen([*command, "--served-model-name=tiny", f"--port={port}"], stdout=log, stderr=log)
    try:
        answer = ask(port, server, tmp_path / "log")
        assert answer["usage"]["prompt_tokens"] > 16  # the sixteen visual tokens and the text
        assert answer["choices"][0]["message"]["content"]
    finally:
        server.terminate()
        server.wait(60)


def ask(port: int, server: subprocess.Popen, log: Path) -> dict:
    stream = io.BytesIO()
    Image.fromarray(np.full((56, 56, 3), 90, np.uint8)).save(stream, format="PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
    body = {"model": "tiny", "max_tokens": 16, "messages": [{"role": "user", "content": content}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    for _ in range(150):
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(2)
    raise AssertionError(log.read_text()[-3000:])
