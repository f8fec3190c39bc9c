"""Makes a table of scored predictions from prepared rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from vrft_aug.data.prompts.rendering import divided
from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers import voting
from vrft_aug.evaluation.answers.probabilities import up_to_answer
from vrft_aug.evaluation.answers.row_columns import row_columns
from vrft_aug.rewards import Objective, compute_score
from vrft_aug.rewards.parsing import BOX_TASKS
from vrft_aug.rewards.thought import thought_right

Answerer = Callable[[list[str], list[list[bytes]]], Iterable[list[tuple[str, int]]]]


class Weigher(Protocol):
    """What tells how probable each class is (generation.Generator, shards.Shards).

    It is asked for `at_once` rows after their answers, while the engine still remembers them.
    """

    at_once: int

    def class_probabilities(
        self, prompts: list[str], images: list[list[bytes]], responses: list[str], classes: list[list[str]]
    ) -> list[list[float]]: ...


def read_rows(parquet: Path, split: str) -> pd.DataFrame:
    """The rows of one split, as prepare.py wrote them. Raises InputError if there are none."""
    files = parquet_files(parquet / f"{split}.parquet")
    rows = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    if rows.empty:
        raise InputError(f"{files[0]} is empty: prepare again with a data set that has a {split} split")
    return rows


def predict(rows: pd.DataFrame, objective: Objective, answer: Answerer, weigher: Weigher | None = None) -> pd.DataFrame:
    """Scored predictions, one row per response (columns: vrft_aug/evaluation/metrics/measure.py).

    If a prompt has several responses, they also get `sample`, `vote` and `vote_shares` (voting.py). answer: takes
    prompts and the images of each; yields each prompt's responses as (text, number of tokens). weigher: adds the column
    `probabilities`, for the response that counts.
    """
    prompts = [prompt[0]["content"] for prompt in rows["prompt"]]
    images = [[image["bytes"] for image in shown] for shown in rows["images"]]
    answers = iter(answer(prompts, images))
    table: list[dict] = []
    size = weigher.at_once if weigher else len(rows)
    for part in (slice(start, start + size) for start in range(0, len(rows), size)):
        answered = zip(rows[part].to_dict("records"), islice(answers, len(prompts[part])), strict=True)
        scored = [_scored(row, responses, objective) for row, responses in answered]
        if weigher:
            _weigh(scored, prompts[part], images[part], weigher)
        table += chain.from_iterable(scored)
    return pd.DataFrame(table)


def _scored(row: Mapping[Any, Any], responses: Sequence[tuple[str, int]], objective: Objective) -> list[dict[str, Any]]:
    """The rows of the table for one prompt."""
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
    scored = [
        {
            "data_source": row["data_source"],
            **row_columns(info),
            "prompt": divided(row["prompt"][0]["content"])[1],  # as asked
            "response": text,
            "response_length": length,
            "ground_truth": truth,
            "findings": info.get("findings", ""),
            "thought_right": thought_right(text, info),
            **compute_score(row["data_source"], text, truth, info, objective, tokens=length),
        }
        for text, length in responses
    ]
    return voting.mark(scored) if len(scored) > 1 else scored


def _weigh(
    scored: list[list[dict[str, Any]]], prompts: list[str], images: list[list[bytes]], weigher: Weigher
) -> None:
    """Add the class probabilities of the response that counts of each prompt; None for the others, and for boxes."""
    for row in chain.from_iterable(scored):
        row["probabilities"] = None
    chosen = [next(row for row in samples if row.get("vote", True)) for samples in scored]
    asked = [(row, prompt, image) for row, prompt, image in zip(chosen, prompts, images, strict=True)
             if row["task"] not in BOX_TASKS]  # fmt: skip
    if not asked:
        return
    named, prompts, images = map(list, zip(*asked, strict=True))
    responses = [up_to_answer(row["response"], row["form"]) for row in named]
    classes = [row["classes"] for row in named]
    for row, found in zip(named, weigher.class_probabilities(prompts, images, responses, classes), strict=True):
        row["probabilities"] = found
