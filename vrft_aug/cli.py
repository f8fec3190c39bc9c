"""How a recipe meets the person who runs it: one decorator, one line an error, an exit code that tells the kind."""

import functools
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vrft_aug.configs import CONF
from vrft_aug.errors import InputError, RunFailed


def recipe(name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a function of a config the Hydra app whose root file is `conf/<name>.yaml`.

    Exit code 2: bad input or configuration; 1: the run failed; 130: interrupted.
    """

    def decorate(function: Callable[[DictConfig], None]) -> Callable[[], None]:
        @functools.wraps(function)
        def guarded(config: DictConfig) -> None:
            with one_line_errors():
                function(config)

        app = hydra.main(version_base=None, config_path=str(CONF), config_name=name)(guarded)

        @functools.wraps(function)
        def main() -> None:
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # lets an error of the composition reach this function
            with one_line_errors():
                app()

        return main

    return decorate


@contextmanager
def one_line_errors():
    """Turn the errors that a person can mend into one line on stderr and an exit code; others keep their traceback."""
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
