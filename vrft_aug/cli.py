"""Turns a function into a recipe's command: a Hydra app with one line per error and an exit code per kind of error."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vrft_aug.configs import CONF
from vrft_aug.errors import InputError, RunFailed


def recipe(name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Decorate a function of a config: it becomes the Hydra app with the root file `conf/<name>.yaml`.

    Exit codes: 2 for bad input or configuration, 1 for a run that failed, 130 for an interrupt.
    """

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        @functools.wraps(function)
        def guarded(config: DictConfig) -> None:
            with one_line_errors():
                function(config)

        app = hydra.main(version_base=None, config_path=str(CONF), config_name=name)(guarded)

        @functools.wraps(function)
        def main() -> None:
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that Hydra passes its own errors to us
            with one_line_errors():
                app()

        return main

    return decorate


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error that a person can fix as one line on stderr and exit. Other errors keep their traceback."""
    try:
        yield
    except (InputError, HydraException, OmegaConfBaseException) as error:
        _leave(error, 2)
    except RunFailed as error:
        _leave(error, 1)
    except KeyboardInterrupt:
        _leave("interrupted", 130)


def _leave(reason: object, code: int) -> None:
    print("error:", " ".join(str(reason).split()), file=sys.stderr)
    sys.exit(code)
