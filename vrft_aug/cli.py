"""Turns a function into a recipe's command: a Hydra app with one line per error and an exit code per kind of error."""

import functools
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vrft_aug.configs import CONF
from vrft_aug.errors import InputError, RunFailed
from vrft_aug.explanations import explain


def recipe(name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Decorate a function of a config: it becomes the Hydra app with the root file `conf/<name>.yaml`.

    Exit codes: 2 for bad input or configuration, 1 for a run that failed, 130 for an interrupt.
    """

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        @functools.wraps(function)
        def guarded(config: DictConfig) -> None:
            with one_line_errors(name):
                function(config)

        app = hydra.main(version_base=None, config_path=str(CONF), config_name=name)(guarded)

        @functools.wraps(function)
        def main() -> None:
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that Hydra passes its own errors to us
            with one_line_errors(name), refused_flags():
                app()

        return main

    return decorate


@contextmanager
def one_line_errors(root: str | None = None) -> Iterator[None]:
    """Print an error that a person can fix as one line on stderr and exit. Other errors keep their traceback.

    root: the root file in conf/, so that an unknown key can be compared with those that exist.
    """
    try:
        yield
    except (InputError, HydraException, OmegaConfBaseException) as error:
        _leave(explain(error, root), 2)
    except RunFailed as error:
        _leave(str(error), 1)
    except KeyboardInterrupt:
        _leave("interrupted", 130)


@contextmanager
def refused_flags() -> Iterator[None]:
    """Hydra refuses flags that exclude each other, as `-m --cfg job`, with a plain ValueError of its own."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(("Only one of --run", "The --resolve flag")):
            raise
        raise InputError(f"{error}; leave one of them out") from None


def _leave(reason: str, code: int) -> None:
    print("error:", " ".join(f"{reason}{_left_of_sweep()}".split()), file=sys.stderr)
    sys.exit(code)


def _left_of_sweep() -> str:
    """Which jobs of a sweep (`-m`) come after the one that failed: none of them runs. Empty without a sweep."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return ""
    jobs = _sweep([argument for argument in sys.argv[1:] if "=" in argument and not argument.startswith("-")])
    number = int(HydraConfig.get().job.num)
    left = "; ".join(jobs[number + 1 :]) or "none"
    return f" (this was job {number + 1} of {len(jobs)} of the sweep: {jobs[number]}; not run: {left})"


def _sweep(overrides: list[str]) -> list[str]:
    """What distinguishes each job of a sweep, in the order in which Hydra runs them."""
    axes = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        for one in OverridesParser.create().parse_overrides(overrides)
        if one.is_sweep_override()
    ]
    return [" ".join(job) for job in itertools.product(*axes)]
