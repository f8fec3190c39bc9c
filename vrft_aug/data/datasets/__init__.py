"""Loads data sets: one module per data set, each with a function `load` that yields samples.

To add a data set, write `<name>.py` here and conf/dataset/<name>.yaml. (Your own images need the YAML only, see
folder.py.) The YAML's `loader` names the function under `_target_` and gives its options:

    def load(root: Path, split: str, *, size: int) -> Iterator[Sample]:
        table = read_table(root / "mine" / "list.csv", ("image",), ("label", "patient", "split"), REMEDY)
        for row in table.rows:
            table.exists(row, row["image"])  # notes a mistake, as table.split does
            table.split(row, "split")
        table.raise_if_any()  # one error shows the first ten mistakes
        for row in table.rows:
            if row["split"] == split:  # "train", "val" or "test"
                yield Sample(root / "mine" / row["image"], int(row["label"]), row["image"], row["patient"])

Further images of the same sample go into `Sample.more`; the YAML's key `images` says how many a prompt has at most.
`root` is the folder of all raw data (data_root). The order of the samples never changes. `label` is an index into the
YAML's classes, the source id is unique, and a group (patient, lesion) is in one split only. `load` opens no image and
raises InputError, with the file, the line and the remedy, for anything that is wrong. An optional `download(root,
**options)` fetches the files; without it, the module's text `REMEDY` says how to get them. In tests/toys/toy_data.py,
add a writer of toy files in the data set's layout: the tests then check rows, prompts, knowledge and rewards.
"""
