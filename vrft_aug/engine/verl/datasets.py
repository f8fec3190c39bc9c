"""Subclasses verl's data sets: the policy's processor gets the whole image of a row, and training rows an order.

verl 0.9.1 resizes each image when it loads it (qwen_vl_utils, fixed bounds), and the processor resizes it again. Of two
resizes the result differs from that of one, for about a fifth of all shapes at the large policies' bounds. A program
that loads the exported policy resizes once; so do these classes, and a box is in the same frame everywhere.

The images stay on disk. verl's data set for GRPO lets the package `datasets` map the rows into memory, from a copy of
the parquet files in its cache; that for SFT reads all of them into a pandas table. Here both map such a copy.

Rare classes can be repeated; in GRPO every batch is then balanced (balanced.py), in SFT every epoch. verl's SFT trainer
shuffles by a constant seed (sft_trainer.py:236), so that every seed of a run would give the same training; here the
run's seed shuffles before it.

conf/grpo.yaml and conf/sft.yaml name the classes as `data.custom_cls`, an extension point of verl.
"""

import io
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.chat_template import extract_system_prompt_and_generation


def decode(encoded: bytes) -> Image.Image:
    """The image of a row as the processor gets it: RGB, in its original size."""
    return Image.open(io.BytesIO(encoded)).convert("RGB")


def balanced_order(answers: Sequence[str]) -> list[int]:
    """Positions of rows, each at least once, so that every answer occurs as often as the most frequent one.

    The rows of a rare answer take turns: the numbers of times that two of them occur differ by one at most.
    """
    values, counts = np.unique(answers, return_counts=True)
    positions = (np.flatnonzero(np.asarray(answers) == value) for value in values)
    return np.sort(np.concatenate([np.resize(one, counts.max()) for one in positions])).tolist()


class WholeImageRlDataset(RLHFDataset):
    """verl's data set for GRPO."""

    dataframe: Any

    def _read_files_and_tokenize(self) -> None:
        """verl calls it at the start and again when a training resumes."""
        super()._read_files_and_tokenize()
        if self.config.get("balanced") and _same(self.original_data_files, self.config.train_files):
            self.dataframe = self.dataframe.select(balanced_order(self.labels()))

    def labels(self) -> list[str]:
        """The class of each row, with its data set: "0" of two data sets is two classes."""
        rows = zip(self.dataframe["data_source"], self.dataframe["reward_model"], strict=True)
        return [f"{source}: {truth['ground_truth']}" for source, truth in rows]

    @classmethod
    def _process_multi_modal_info(cls, messages: list[dict], *_: Any, **__: Any) -> tuple[list[Image.Image], Any, Any]:
        """The images of a row's messages. Our rows have neither video nor audio."""
        return [part["image"].convert("RGB") for message in messages for part in message["content"]
                if part["type"] == "image"], None, None  # fmt: skip


class MappedRow(dict):
    """A row, with the method that verl calls of a row of a pandas table."""

    def to_dict(self) -> dict[str, Any]:
        return self


class MappedRows:
    """The rows of parquet files, on disk: what verl's data set for SFT asks of its pandas table.

    A row is read when it is asked for, with its images encoded.
    """

    def __init__(self, rows: datasets.Dataset):
        self.rows, self._encoded = rows, rows.with_format("arrow")

    @classmethod
    def of(cls, files: Sequence[str]) -> "MappedRows":
        tables = [datasets.load_dataset("parquet", data_files=file, split="train") for file in files]
        return cls(datasets.concatenate_datasets(tables))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Sequence[Any]:
        """A column, of which nothing is read yet."""
        return self.rows[name]

    @property
    def iloc(self) -> "MappedRowsAt":
        return MappedRowsAt(self)

    def at(self, place: int) -> MappedRow:
        return MappedRow(self._encoded[int(place)].to_pylist()[0])

    def take(self, order: NDArray[np.int64]) -> "MappedRows":
        """The rows at these places, in this order; no row is copied."""
        return MappedRows(self.rows.select(order))


class MappedRowsAt:
    """Rows by their place."""

    def __init__(self, rows: MappedRows):
        self._rows = rows

    def __getitem__(self, place: int) -> MappedRow:
        return self._rows.at(place)


class WholeImageSftDataset(MultiTurnSFTDataset):
    """verl's data set for SFT."""

    dataframe: MappedRows
    messages: Sequence[list[dict]]

    def __init__(self, parquet_files: Any, tokenizer: Any, config: Any, *more: Any, **named: Any) -> None:
        super().__init__(parquet_files, tokenizer, config, *more, **named)
        if _same(self.parquet_files, config.train_files):
            questions = zip(self.dataframe["data_source"], self.messages, strict=True)
            answers = [f"{source} {messages[-1]['content']}" for source, messages in questions]
            order = np.asarray(balanced_order(answers) if config.balanced else range(len(answers)))
            self._show(self.dataframe.take(np.random.default_rng(config.seed).permutation(order)))

    def _read_files_and_process(self) -> None:
        """verl calls it at the start. Its own reads all images; our rows have no tools and no switch for thinking."""
        rows = MappedRows.of(self.parquet_files)
        if 0 < self.max_samples < len(rows):
            drawn = np.random.default_rng(self.seed).permutation(len(rows)) if self.shuffle else np.arange(len(rows))
            rows = rows.take(drawn[: self.max_samples])
        self._show(rows)
        self.tools = self.enable_thinking = None
        self.system_prompt, self.generation_prompt = extract_system_prompt_and_generation(
            self.tokenizer, **self.apply_chat_template_kwargs)  # fmt: skip

    def _show(self, rows: MappedRows) -> None:
        self.dataframe, self.messages = rows, rows[self.messages_key]

    def _build_messages(self, example: dict) -> list[dict]:
        """verl leaves an image alone that is decoded already."""
        images = [decode(image["bytes"]) for image in example[self.image_key]]
        return super()._build_messages({**example, self.image_key: images})


def _same(files: str | Sequence[str], others: str | Sequence[str]) -> bool:
    """Whether both name the same files: balanced rows are for the training, not for the validation."""
    first, second = ([one] if isinstance(one, str) else list(one) for one in (files, others))
    return first == second
