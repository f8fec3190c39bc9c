"""Serves the page beside a training from a thread, for tests and screenshots."""

import threading
import time
from pathlib import Path

import uvicorn

from vrft_aug.evaluation.window.server import application


class Site:
    """The server of a folder in a thread."""

    def __init__(self, root: Path) -> None:
        config = uvicorn.Config(application(root, "token"), port=0, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)
        self.origin = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self.url = f"{self.origin}/token/"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
