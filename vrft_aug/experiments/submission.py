"""Chooses what sends the jobs of a table to a cluster: a Ray cluster or Slurm. Wrong settings are refused here."""

from omegaconf import DictConfig

from vrft_aug.data.settings import check_choice
from vrft_aug.errors import InputError
from vrft_aug.experiments.launcher import Launcher
from vrft_aug.experiments.ray_jobs import RayJobs
from vrft_aug.experiments.slurm_jobs import SlurmJobs


def check(config: DictConfig) -> None:
    """Raise InputError for a wrong `submit` or `jobs`, and for settings of a launcher that is not chosen."""
    check_choice("submit", config.submit, (None, "ray", "slurm"))
    if type(config.jobs) is not int or config.jobs < 1:
        raise InputError(f"jobs={config.jobs}: must be a whole number from 1, the jobs that may run at once")
    if config.jobs > 1 and not config.submit:
        raise InputError(f"jobs={config.jobs} has no effect here: add submit=ray or submit=slurm, or leave it out")
    for key, owner in (("address", "ray"), ("sbatch", "slurm")):
        if config[key] is not None and config.submit != owner:
            raise InputError(f"{key}={config[key]} has no effect with submit={config.submit or 'null'}: add "
                             f"submit={owner}, or leave it out")  # fmt: skip


def choose(config: DictConfig) -> Launcher:
    """The launcher of `submit`. config: it has passed `check`.

    Raises InputError for what it lacks: an address, a cluster that answers, Slurm's programs, the right folder.
    """
    if config.submit == "ray":
        return RayJobs.connected(config.address, config.hardware.devices_per_node)
    devices = 0 if config.hardware.device == "cpu" else config.hardware.devices_per_node
    return SlurmJobs.found(config.hardware.nodes, devices, config.sbatch or "")
