"""Checks which runs start Ray beside the imports of verl, and that their workers get the same as from verl."""

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from omegaconf import open_dict

from vrft_aug.configs import compose
from vrft_aug.engine.verl import ray_cluster


def config_of(*overrides: str):
    return compose("grpo", ["parquet=rows", "out=run", *overrides])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), True),
        (("hardware.ray.fork=false",), False),
        (("hardware.ray.address=auto",), False),
        (("hardware=gpu_2x80g",), False),
        (("actor_rollout_ref.rollout.full_determinism=true",), False),  # verl gives the workers other variables
        (("trainer.logger=[console,rl_insight]",), False),
    ],
)
def test_ray_starts_early_where_it_is_ours_and_on_a_cpu(overrides, expected):
    assert ray_cluster.starts_early(config_of(*overrides)) is expected


@pytest.mark.parametrize("set_before", [{}, {"VLLM_LOGGING_LEVEL": "DEBUG"}])
def test_the_workers_get_the_variables_that_verl_gives_them(monkeypatch, set_before):
    import ray
    from verl.trainer import main_ppo

    for name in ray_cluster.OF_VERL:
        monkeypatch.delenv(name, raising=False)
    for name, value in set_before.items():
        monkeypatch.setenv(name, value)
    config, given = config_of(), []
    with open_dict(config):
        config.ray_kwargs.ray_init.runtime_env = {"py_executable": "python"}
    monkeypatch.setattr(ray, "init", lambda **settings: given.append(settings) or (_ for _ in ()).throw(StopHere))
    for start in (ray_cluster.start, lambda config: main_ppo.run_ppo(config, None)):
        with pytest.raises(StopHere):
            start(config)
    ours, verls = given
    verls["runtime_env"].pop("working_dir")
    assert ours == verls
    assert not set_before.keys() & ours["runtime_env"]["env_vars"].keys()


class StopHere(Exception):
    """Ray would start now."""
