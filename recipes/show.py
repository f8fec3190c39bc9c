"""Draws a contact sheet of prepared rows.  python recipes/show.py data=<folder of prepare.py> split=train"""

from pathlib import Path

import _environment  # noqa: F401
from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("show")
def main(config: DictConfig) -> None:
    from vrft_aug.data.rows import contact_sheet
    from vrft_aug.data.rows.parquet_files import parquet_files

    data = Path(config.data)
    folder, file = (data.parent, data) if data.is_file() else (data, data / f"{config.split}.parquet")
    rows = contact_sheet.read_rows(parquet_files(file), config.images)
    out = Path(config.out or folder / f"{config.split}.png")
    contact_sheet.render(rows, config.columns).save(out)
    print(out)


if __name__ == "__main__":
    main()
