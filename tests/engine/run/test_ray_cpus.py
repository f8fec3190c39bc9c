"""verl waits without end for CPUs that Ray does not have, so Ray gets enough, or the run is refused."""

import pytest
from repository import composed

from vrft_aug.engine.run import ray_cpus
from vrft_aug.errors import InputError


def profile(name: str, *overrides: str):
    return composed("grpo", f"hardware={name}", "policy=tiny", *overrides).hardware


@pytest.mark.parametrize(("name", "needed"), [
    ("gpu_1x24g", 3 + 2 + 2), ("gpu_2x80g", 6 + 2 + 2), ("node_8x80g", 24 + 2 + 4), ("multi_node", 48 + 2 + 8),
])  # fmt: skip
def test_what_verl_asks_for(name, needed):
    assert ray_cpus.needed(profile(name)) == needed


def test_a_machine_with_four_cores_and_one_gpu_gets_enough(monkeypatch):
    monkeypatch.setattr(ray_cpus.os, "sched_getaffinity", lambda process: range(4))
    hardware = profile("gpu_1x24g")
    assert ray_cpus.announced(hardware) == 7
    assert ray_cpus.places(hardware) == ("verl asks for 7, Ray gets 7 (ray.num_cpus or cores: 4)", "")
    monkeypatch.setattr(ray_cpus.os, "sched_getaffinity", lambda process: range(64))
    assert ray_cpus.announced(hardware) == 64
    assert ray_cpus.announced(profile("gpu_1x24g", "hardware.ray.num_cpus=3")) == 7


def test_many_logical_devices_of_a_cpu_get_enough():
    assert ray_cpus.announced(profile("cpu")) == 16
    assert ray_cpus.announced(profile("cpu", "hardware.devices_per_node=6")) == 21


def test_ray_is_started_with_them():
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    from vrft_aug.engine.verl import ray_cluster

    config, said = composed("grpo", "hardware.devices_per_node=6").copy(), []
    ray_cluster._give_places(config, said.append)
    assert config.ray_kwargs.ray_init.num_cpus == 21
    assert said == ["Ray's CPUs, which are places for processes: verl asks for 21, Ray gets 21 "
                    "(ray.num_cpus or cores: 16)"]  # fmt: skip
    ray_cluster._give_places(composed("grpo").copy(), said.append)
    assert len(said) == 1  # nothing to say where there are enough


def node(cpus: int, gpus: int, alive: bool = True) -> dict:
    return {"Alive": alive, "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}


@pytest.mark.parametrize(("nodes", "lacks"), [
    ([node(64, 8), node(64, 8)], ""),
    ([node(64, 8), node(64, 8, alive=False)], "1 of its 1 nodes have 8 GPUs and 24 CPUs, and hardware.nodes=2: add"),
    ([node(64, 8), node(16, 8)], "1 of its 2 nodes have 8 GPUs and 24 CPUs"),
    ([node(64, 8), node(64, 4)], "1 of its 2 nodes have 8 GPUs and 24 CPUs"),
    ([node(26, 8), node(26, 8)], "it has 52 CPUs and verl asks for 58: add a node, start one with `ray start"),
    ([node(24, 8), node(24, 8), node(10, 0)], ""),
])  # fmt: skip
def test_a_cluster_that_can_never_hold_the_run(nodes, lacks):
    found = ray_cpus.shortage(nodes, profile("multi_node"))
    assert found.startswith(lacks) and bool(found) == bool(lacks)


def test_such_a_cluster_is_refused_and_left(monkeypatch):
    ray = pytest.importorskip("ray", reason="the training stack is not installed (make setup)")
    from vrft_aug.engine.verl import ray_cluster

    calls: list[str] = []
    monkeypatch.setattr(ray, "init", lambda address, **options: calls.append(f"joined {address}"))
    monkeypatch.setattr(ray, "nodes", lambda: [node(4, 8), node(4, 8)])
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("left"))
    with pytest.raises(InputError, match=r"the Ray cluster at auto cannot run hardware=multi_node: 0 of its 2 nodes"):
        ray_cluster.check_cluster(profile("multi_node"))
    assert calls == ["joined auto", "left"]
