"""Runs a recipe with its overrides as a job on a running Ray cluster (launch/README.md).

    python launch/ray_job.py submit --folder /shared/me -- recipes/grpo.py dataset=blood hardware=gpu_2x80g
    python launch/ray_job.py list
    python launch/ray_job.py status|logs|stop <job>

The job belongs to the cluster. If you close the terminal or press Ctrl-C, the job continues; only its log stops here.
"""

import argparse
import asyncio
import logging
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vrft_aug.cli import one_line_errors
from vrft_aug.errors import RunFailed
from vrft_aug.experiments.ray_jobs import DASHBOARD, connect, entrypoint, runtime_env

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

FORWARDED = ("HF_HOME", "HF_TOKEN", "MLFLOW_TRACKING_URI", "SWANLAB_API_KEY", "WANDB_API_KEY", "WANDB_ENTITY")


def submit(args: argparse.Namespace) -> int:
    """Upload the code, start the job and follow its log. Exit code 0: succeeded or detached; 1: failed or stopped."""
    request = {
        "entrypoint": entrypoint(args.folder, args.recipe, args.overrides),
        "submission_id": args.id,
        "runtime_env": runtime_env(args.env),
        "metadata": {"command": shlex.join([args.recipe, *args.overrides])},
        "entrypoint_num_gpus": args.gpus,
    }
    client = connect(args.address)
    job = client.submit_job(**request)
    print(f"job {job} submitted; `logs {job}` follows it, `stop {job}` ends it", flush=True)
    return 0 if args.detach else follow(client, job)


def follow(client: "JobSubmissionClient", job: str) -> int:
    """Print the job's log until the job ends. Exit code 0: succeeded."""

    async def tail() -> None:
        async for lines in client.tail_job_logs(job):
            print(lines, end="", flush=True)

    try:
        asyncio.run(tail())
    except KeyboardInterrupt:
        print(f"\njob {job} continues: `stop {job}` ends it", file=sys.stderr)
        return 130
    except OSError as error:  # aiohttp's connection errors are OSErrors
        raise RunFailed(f"the log of job {job} broke off; follow it again with `logs {job}` ({error})") from None
    return report(client, job)


def report(client: "JobSubmissionClient", job: str) -> int:
    """Print the job's state. Exit code 1: failed or stopped."""
    info = client.get_job_info(job)
    reason = f": {info.message.splitlines()[0]}" if info.status == "FAILED" and info.message else ""
    print(f"job {job} {info.status.value}{reason}", flush=True)
    return int(info.status in ("FAILED", "STOPPED"))


def stop(client: "JobSubmissionClient", job: str) -> int:
    """Ask the job to end, and wait until it has ended."""
    client.stop_job(job)
    while not client.get_job_status(job).is_terminal():
        time.sleep(1)
    report(client, job)
    return 0


def show_all(client: "JobSubmissionClient") -> int:
    """Print one line per job."""
    for job in sorted(client.list_jobs(), key=lambda job: job.start_time or 0):
        if job.submission_id:  # the others are programs that joined the cluster without a submission
            started = time.strftime("%Y-%m-%d %H:%M", time.localtime((job.start_time or 0) / 1000))
            print(f"{job.submission_id}  {job.status.value:9}  {started}  {(job.metadata or {}).get('command', '')}")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--address", help=f"the cluster's dashboard (default: RAY_API_SERVER_ADDRESS, or {DASHBOARD})")
    commands = top.add_subparsers(dest="command", required=True)
    new = commands.add_parser("submit", help="run a recipe: submit [options] -- recipes/<recipe>.py <overrides>")
    new.add_argument("--folder", type=Path, required=True, help="absolute; all nodes share it and the job works there")
    new.add_argument("--id", help="name of the job (default: Ray makes one)")
    new.add_argument("--detach", action="store_true", help="do not follow the log")
    new.add_argument("--gpus", type=float, help="GPUs for the recipe's own process: sft and evaluate, not grpo")
    new.add_argument("--env", action="append", default=[], choices=FORWARDED, metavar="NAME",
                     help=f"send this variable along, readable on the dashboard: {', '.join(FORWARDED)}")  # fmt: skip
    new.add_argument("recipe")
    new.add_argument("overrides", nargs="*")
    commands.add_parser("list", help="the cluster's jobs")
    for name in ("status", "logs", "stop"):
        commands.add_parser(name).add_argument("job")
    return top


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    logging.disable(logging.INFO)  # Ray logs every file that it looks at
    try:
        if args.command == "submit":
            return submit(args)
        client = connect(args.address)
        if args.command == "list":
            return show_all(client)
        return {"status": report, "logs": follow, "stop": stop}[args.command](client, args.job)
    except (RuntimeError, OSError) as error:  # the cluster's answer, as Ray's client reports it, or no answer
        raise RunFailed(str(error)) from None


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
