"""Finds the images of kept prompts in the rows of verl's data sets, and makes small copies of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from vrft_aug.data.rows.small_images import side_by_side, small_image
from vrft_aug.engine.run.rollouts_file import Group

LONGEST_SIDE = 224  # pixels


@dataclass
class RowImages:
    """The images of rows by the groups' names of them. tables: split -> all rows of its files, as arrow maps them."""

    tables: Mapping[str, pa.Table]
    indices: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def of(cls, datasets: Mapping[str, Any]) -> "RowImages":
        """datasets: split -> verl's data set (datasets.py)."""
        return cls({split: rows.dataframe.data for split, rows in datasets.items()})

    def image(self, group: Group) -> Image.Image:
        """All images of the group's row, each reduced to LONGEST_SIDE, side by side. Raises LookupError: no such row.

        Rows of several prompts have the same `index`, and may show other images.
        """
        rows = self.tables[group["split"]]
        for place in np.flatnonzero(self._indices(group["split"]) == group["index"]).tolist():
            info = rows.column("extra_info")[place].as_py()
            if (info["source_id"], info["prompt"]) == (group["source_id"], group["text"]):
                images = rows.column("images")[place].as_py()
                return side_by_side([small_image(one["bytes"], LONGEST_SIDE) for one in images])
        raise LookupError(f"row {group['index']} ({group['source_id']}) of {group['split']}")

    def _indices(self, split: str) -> NDArray[np.int64]:
        """The `index` of each row: read once, since there may be very many rows."""
        if split not in self.indices:
            column = pc.struct_field(self.tables[split].column("extra_info"), "index")
            self.indices[split] = column.to_numpy()
        return self.indices[split]
