"""Checks the files of launch/ that other programs read: KubeRay's YAML, the Dockerfile, and what neither contains."""

import re
from string import Template

import pytest
import yaml
from repository import ROOT

LAUNCH = ROOT / "launch"
TOPOLOGY = {"hardware.ray.address", "hardware.nodes", "hardware.devices_per_node"}
VALUES = {"IMAGE": "vrft-aug:1", "STORAGE": "claim", "WORKERS": "3", "GPUS": "8", "CPUS": "64", "MEMORY": "512Gi"}
RECIPE = "recipes/grpo.py hardware=multi_node hardware.nodes=4 trainer.logger=[file,wandb] out=/storage/runs/blood"


@pytest.fixture(scope="module")
def job() -> dict:
    return yaml.safe_load(Template((LAUNCH / "kuberay.yaml").read_text()).substitute(VALUES, RECIPE=RECIPE))


def lock(package: str) -> str:
    return re.search(rf"^{package}==(\S+)", (ROOT / "requirements" / "gpu.txt").read_text(), re.MULTILINE).group(1)


def test_the_scripts_set_nothing_but_where_a_recipe_runs():
    for file in LAUNCH.iterdir():
        if file.suffix not in (".md", ".pyc") and file.is_file():
            overrides = set(re.findall(r"(?<![\w.])[a-z_]+(?:\.[a-z_]+)+(?==[^=])", file.read_text()))
            assert overrides <= TOPOLOGY, file.name
            assert not re.search(r"learning_rate|batch_size|\blr=|kl_|temperature|epochs|rollout", file.read_text())


def test_kuberay_gets_the_fields_that_its_api_requires(job):
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["metadata"]["generateName"]
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert spec["entrypoint"] == f"python /opt/vrft-aug/{RECIPE}"
    assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
    assert spec["shutdownAfterJobFinishes"] is True
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert isinstance(group["rayStartParams"], dict)
        for container in group["template"]["spec"]["containers"]:
            assert container["name"] and container["image"] == "vrft-aug:1"
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["groupName"]
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"] == 3


def test_kuberays_ray_is_the_locks_and_asks_for_a_token(job):
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == lock("ray")
    assert cluster["authOptions"] == {"mode": "token"}


def test_every_pod_sees_the_storage_and_runs_as_the_images_user(job):
    cluster = job["spec"]["rayClusterSpec"]
    user = re.search(r"^USER (\d+)$", (LAUNCH / "Dockerfile").read_text(), re.MULTILINE).group(1)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == int(user) > 0
        (container,) = pod["containers"]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
        assert mounted["storage"] == "/storage"
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"


def test_the_image_is_made_from_the_lock_with_the_makefiles_uv():
    text = (LAUNCH / "Dockerfile").read_text()
    assert re.search(r"^FROM nvidia/cuda:[\w.]+-devel-\w+|^FROM nvidia/cuda:[\w.]+-cudnn-devel-\w+", text, re.MULTILINE)
    assert "-r requirements/gpu.txt" in text and "FLASH_ATTENTION_FORCE_BUILD=TRUE" in text
    uv = re.search(r"^UV_VERSION = (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert f"ARG UV_VERSION={uv}" in text
    assert not re.search(r"TOKEN|API_KEY|PASSWORD", text)


def test_the_image_holds_nothing_that_git_ignores_and_not_the_history():
    left_out = {line.strip("/*") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    ignored = {line.strip("/*") for line in (ROOT / ".gitignore").read_text().splitlines() if line.strip()}
    assert ignored | {".git"} <= left_out
