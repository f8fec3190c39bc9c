"""Contact sheet of prepared rows.  python recipes/show.py data=<folder of prepare.py> split=train"""

from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.cli import recipe


@recipe("show")
def main(config: DictConfig) -> None:
    from vrft_aug.data.rows import contact_sheet

    data = Path(config.data)
    paths = contact_sheet.find(data, config.split)
    out = Path(config.out) if config.out else (data if data.is_dir() else data.parent) / f"{config.split}.png"
    contact_sheet.render(contact_sheet.read_rows(paths, config.images), config.columns).save(out)
    print(out)


if __name__ == "__main__":
    main()
