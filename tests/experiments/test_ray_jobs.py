"""Checks what a table's stage asks of a Ray cluster as a job, and how its answers are read; the client is a toy."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from vrft_aug.errors import RunFailed
from vrft_aug.experiments.launcher import State
from vrft_aug.experiments.ray_jobs import RayJobs
from vrft_aug.experiments.stages import Stage


class Client:
    """Keeps what it is asked, and knows the jobs of `states`."""

    def __init__(self, **states: str) -> None:
        self.states, self.asked = states, []

    def delete_job(self, name: str) -> None:
        if name not in self.states:
            raise RuntimeError("Request failed with status code 404")
        del self.states[name]

    def submit_job(self, **request: object) -> str:
        if request["submission_id"] in self.states:
            raise RuntimeError(f"Job with submission_id {request['submission_id']} already exists")
        self.asked.append(request)
        return str(request["submission_id"])

    def list_jobs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(submission_id=name, status=SimpleNamespace(value=state))
                for name, state in self.states.items()]  # fmt: skip


def jobs(client: Client) -> RayJobs:
    return RayJobs(client, "http://a:8265", Path("/shared"), 2)


def stage(recipe: str) -> Stage:
    return Stage("x", recipe, ("dataset=blood", "out=runs/x"), Path("runs/x"))


@pytest.mark.parametrize(("recipe", "gpus", "cpus"), [("prepare", None, 1), ("sft", 2, 1), ("grpo", None, None),
                                                      ("evaluate", 2, 1)])  # fmt: skip
def test_a_job_runs_the_stages_command_in_the_shared_folder_and_reserves_its_gpus(recipe, gpus, cpus):
    client = Client(**{"the-name": "FAILED"})  # an earlier attempt
    assert jobs(client).submit("the-name", stage(recipe), Path("/shared/jobs/log.txt")) == "the-name"
    (asked,) = client.asked
    assert (asked["entrypoint_num_gpus"], asked["entrypoint_num_cpus"]) == (gpus, cpus)
    joins = "hardware.ray.address=auto " if recipe == "grpo" else ""
    command = f'&& cd /shared && exec python "$code/recipes/{recipe}.py" {joins}dataset=blood out=runs/x'
    assert asked["entrypoint"].endswith(command) and ">> /shared/jobs/log.txt 2>&1" in asked["entrypoint"]
    assert asked["metadata"] == {"command": f"recipes/{recipe}.py dataset=blood out=runs/x"}


def test_states_are_those_of_the_jobs_that_the_cluster_knows():
    client = Client(a="PENDING", b="RUNNING", c="SUCCEEDED", d="FAILED", e="STOPPED", other="RUNNING")
    assert jobs(client).states(list("abcdef")) == {
        "a": State.ACTIVE, "b": State.ACTIVE, "c": State.SUCCEEDED, "d": State.FAILED, "e": State.FAILED,
    }  # fmt: skip


def test_no_answer_is_a_failed_run_that_names_the_cluster():
    client = Client()
    client.list_jobs = client.submit_job = lambda **_: (_ for _ in ()).throw(ConnectionError("refused"))
    with pytest.raises(RunFailed, match="the Ray cluster at http://a:8265 does not answer: refused"):
        jobs(client).states(["a"])
    with pytest.raises(RunFailed, match="the Ray cluster at http://a:8265 did not take the job x: refused"):
        jobs(client).submit("x", stage("prepare"), Path("/shared/log.txt"))


def test_the_command_that_stops_a_job_names_the_cluster():
    assert jobs(Client()).stop_commands(["a"]) == ["python launch/ray_job.py --address http://a:8265 stop a"]
