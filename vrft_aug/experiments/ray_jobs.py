"""Runs recipes as jobs of a Ray cluster, through its dashboard: what a job runs, what is sent, and how it ended."""

import glob
import logging
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments.launcher import State
from vrft_aug.experiments.runner import ROOT
from vrft_aug.experiments.stages import Stage

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

DASHBOARD = "http://127.0.0.1:8265"
VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # that Ray's own commands read
UPLOADED = ("conf", "launch", "recipes", "vrft_aug")  # nothing else: data, results and secrets stay here
STOP_SECONDS = 600  # Ray kills a job this long after asking it to stop: time for the current step and a checkpoint


@dataclass
class RayJobs:
    """A launcher (launcher.py). folder: where jobs work, which every node shares. devices: GPUs per node."""

    client: "JobSubmissionClient"
    address: str
    folder: Path
    devices: int
    pause: float = 5

    @classmethod
    def connected(cls, address: str | None, devices: int) -> "RayJobs":
        """Connect to the dashboard. Jobs work in the current folder. Raises InputError without an address."""
        logging.disable(logging.WARNING)  # Ray logs every file that it looks at, and warns of those it leaves out
        address = address or next((os.environ[name] for name in VARIABLES if name in os.environ), None)
        if not address:
            raise InputError(f"submit=ray needs the address of the cluster's dashboard: address={DASHBOARD}, or export "
                             f"{VARIABLES[0]}")  # fmt: skip
        return cls(connect(address), address, Path.cwd(), devices)

    @property
    def title(self) -> str:
        return f"the Ray cluster at {self.address}"

    def submit(self, name: str, stage: Stage, log: Path) -> str:
        """A training or test reserves its GPUs, except that the workers of GRPO reserve their own."""
        gpus = self.devices if stage.recipe in ("sft", "evaluate") else None
        recipe, *overrides = stage.command
        with suppress(RuntimeError):  # without an earlier job of this name
            self.client.delete_job(name)
        try:
            return str(self.client.submit_job(
                entrypoint=entrypoint(self.folder, recipe, overrides, log),
                submission_id=name,
                runtime_env=runtime_env([]),
                metadata={"command": shlex.join(stage.command)},
                entrypoint_num_gpus=gpus,
                entrypoint_num_cpus=None if stage.recipe == "grpo" else 1,  # else Ray would use the head alone
            ))  # fmt: skip
        except (RuntimeError, OSError) as error:
            raise RunFailed(f"{self.title} did not take the job {name}: {error}") from None

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        try:
            known = {job.submission_id: job.status for job in self.client.list_jobs()}
        except (RuntimeError, OSError) as error:
            raise RunFailed(f"{self.title} does not answer: {error}") from None
        return {name: _state(known[name].value) for name in ids if name in known}

    def stop_commands(self, ids: Sequence[str]) -> list[str]:
        return [f"python launch/ray_job.py --address {self.address} stop {name}" for name in ids]


def _state(status: str) -> State:
    ended = {"SUCCEEDED": State.SUCCEEDED, "FAILED": State.FAILED, "STOPPED": State.FAILED}
    return ended.get(status, State.ACTIVE)


def entrypoint(folder: Path, recipe: str, overrides: list[str], log: Path | None = None) -> str:
    """The job's shell command: it starts in the uploaded code and changes to `folder`.

    Ray removes the uploaded code after the job, so the recipe must write elsewhere. log: absolute, in a folder that
    exists here; the job's output goes there, and a node that does not see that folder refuses the job.
    """
    if not folder.is_absolute():
        raise InputError(f"--folder {folder} is relative: give the absolute path of a folder that every node shares")
    if Path(recipe).parent != Path("recipes") or not (ROOT / recipe).is_file():
        raise InputError(f"{recipe} is no recipe: the first argument after -- must be a file of recipes/")
    if recipe == "recipes/grpo.py":
        overrides = ["hardware.ray.address=auto", *overrides]  # by default it would start a second cluster
    command = shlex.join(overrides)
    check = f'python "$code/launch/check_nodes.py" --folder {shlex.quote(str(folder))}'
    write = f"{_into(log)} && " if log else ""
    return f'code=$PWD && {write}{check} && cd {shlex.quote(str(folder))} && exec python "$code/{recipe}" {command}'


def _into(log: Path) -> str:
    """Shell: append all output to the log, or say that the node does not share the log's folder."""
    lacks = f"error: {log.parent}, which the submitting machine has made, does not exist on this node: use a folder "
    refuse = f"{{ echo {shlex.quote(f'{lacks}that all nodes share')} >&2; exit 2; }}"
    place, file = shlex.quote(str(log.parent)), shlex.quote(str(log))
    return f"{{ [ -d {place} ] || {refuse}; }} && echo log: {file} && exec >> {file} 2>&1"


def runtime_env(forwarded: Sequence[str]) -> dict[str, Any]:
    """What Ray sends to the nodes: our code, and the named variables with their values on this machine."""
    variables = {name: os.environ[name] for name in forwarded if name in os.environ}
    if missing := sorted(set(forwarded) - set(variables)):
        raise InputError(f"--env {missing[0]}: not set here: export it, or leave --env out and set it on the nodes")
    others = (path.name for path in ROOT.iterdir() if path.name not in UPLOADED)
    return {
        "working_dir": str(ROOT),
        "excludes": [*(f"/{glob.escape(name)}" for name in others), "__pycache__"],  # written as in .gitignore
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), **variables},
    }


def connect(address: str | None) -> "JobSubmissionClient":
    """Connect to the dashboard at `address`; None: at the address in the variable that Ray's own commands read."""
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    address = address or next((os.environ[name] for name in VARIABLES if name in os.environ), DASHBOARD)
    os.environ["RAY_API_SERVER_ADDRESS"] = address  # Ray's client prefers the variable to its own argument
    try:
        return JobSubmissionClient(address)
    except AuthenticationError:
        raise InputError(
            f"the cluster at {address} requires its token: export RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH=<file "
            "with the token> unless it is in ~/.ray/auth_token (launch/README.md, Security)"
        ) from None
    except (ConnectionError, ValueError) as error:
        raise InputError(f"no Ray cluster answers at {address} ({error}): set address to its dashboard") from None
