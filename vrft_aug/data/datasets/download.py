"""Downloads a data set by its name; resumes a broken download, and checks each file before it counts as complete.

    from vrft_aug.data.datasets.download import fetch
    fetch("blood", "data")   # writes data/medmnist/bloodmnist.npz and returns this path
"""

import hashlib
import importlib
import urllib.error
import urllib.request
from pathlib import Path

from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from vrft_aug.configs import CONF, compose
from vrft_aug.data.settings import Dataset
from vrft_aug.errors import InputError

CHUNK = 1 << 20  # bytes
COLUMNS = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


def fetch(name: str, data_root: str, *overrides: str) -> Path:
    """Download the data set of conf/dataset/<name>.yaml to `data_root` and return the path of its file.

    overrides: as on a recipe's command line, as "dataset.loader.size=224". A file that exists is not downloaded again.
    Raises InputError for an unknown name, a broken connection, and a data set that must be fetched by hand.
    """
    known = sorted(path.stem for path in (CONF / "dataset").glob("*.yaml"))
    if name not in known:
        raise InputError(f"data set '{name}': must be one of {', '.join(known)}")
    config = compose("prepare", [f"dataset={name}", *overrides])
    return download(Dataset.of(config.dataset), data_root)


def fetch_url(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path` through `<path>.part`, which a later call continues.

    Raises InputError for a broken connection and for a wrong checksum.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        receive(url, part)
    except (urllib.error.URLError, OSError) as error:
        raise InputError(f"{url}: {error}; run the same command again to resume, or save the file as {path}") from None
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        part.unlink()
        raise InputError(f"{url}: MD5 {found} is not the published {md5}; run the command again for a fresh download")
    part.replace(path)


def receive(url: str, part: Path) -> None:
    """Append the missing bytes of `url` to `part`, with a progress bar."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # the part is already complete
            return
        raise
    with response, Progress(*COLUMNS) as progress:
        have = have if response.status == 206 else 0  # a server that ignores Range sends all bytes again
        rest = response.headers.get("Content-Length")
        task = progress.add_task(part.stem, completed=have, total=have + int(rest) if rest else None)
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                progress.advance(task, len(chunk))
        if rest and part.stat().st_size != have + int(rest):
            raise OSError(f"connection closed after {part.stat().st_size} of {have + int(rest)} bytes")


def download(dataset: Dataset, data_root: str) -> Path:
    """Call the `download` of the data set's module. If it has none, raise InputError with what to do by hand."""
    options = dict(dataset.loader)
    module = importlib.import_module(options.pop("_target_").rpartition(".")[0])
    if not hasattr(module, "download"):
        remedy = getattr(module, "REMEDY", "it needs no files")
        raise InputError(f"{dataset.title} cannot be downloaded by this command: {remedy}")
    return module.download(Path(data_root), **options)
