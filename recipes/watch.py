"""Follows trainings in a browser while they run: state, curves, rollouts.

python recipes/watch.py run=runs/quickstart
"""

from pathlib import Path

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("watch")
def main(config: DictConfig) -> None:
    from functools import partial

    from vrft_aug.data.setting_checks import check_number
    from vrft_aug.errors import InputError
    from vrft_aug.evaluation.window.server import serve

    if not config.run:
        raise InputError("run is not set: set run=<folder>, the out= of a training or any folder above trainings")
    check_number("port", config.port, 0)
    serve(Path(config.run), config.host, config.port, config.token, partial(print, flush=True))


if __name__ == "__main__":
    main()
