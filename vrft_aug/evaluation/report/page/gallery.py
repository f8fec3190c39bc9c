"""What the page's gallery shows: some test images of each data set, with every run's reasoning, answer and rewards."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.measure import NOT_A_PART
from vrft_aug.evaluation.report.page.thumbnails import thumbnails
from vrft_aug.evaluation.report.result_tables import by_dataset, title_of
from vrft_aug.rewards.parsing import parse

LONGEST = 4000  # characters of a response that the page shows


def gallery(comparisons: Sequence[Comparison], limit: int, seed: int = 0) -> list[dict]:
    """One JSON-able entry a data set and split, with at most `limit` images.

    {"title", "total": images to choose from, "classes", "notes": [str], "images": [{"id", "gold", "uri": data URI or
    null, "width", "height": original pixels, "box": [x1, y1, x2, y2] or null, "answers": {run's name: answer}}]};
    an answer: see `_answer`. All runs show the same images.
    """
    return [_of_set(title_of(*name), group, limit, seed) for name, group in by_dataset(comparisons).items()]


def draw(images: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most `limit` rows, in their order: class by class in turn, at random by `seed` within a class.

    Answers are not looked at, so that the gallery is no better and no worse than the test set.
    """
    turn = images.sample(frac=1, random_state=seed).groupby("ground_truth").cumcount()
    return images.loc[turn.sort_values(kind="stable").index[:limit]].sort_index()


def _of_set(title: str, group: list[Comparison], limit: int, seed: int) -> dict:
    tables = {one.name: _predictions(one) for one in group}
    images, notes = _common_images(tables)
    drawn = draw(images, limit, seed)
    wanted = dict(zip(drawn["index"], drawn["source_id"], strict=True))
    pictures, why = _pictures(group, wanted)
    answers = {name: _answers(table, drawn["source_id"]) for name, table in tables.items()}
    return {
        "title": title,
        "total": len(images),
        "classes": list(map(str, group[0].metrics.get("confusion", {}).get("classes", []))),
        "runs": list(tables),
        "notes": notes + why,
        "images": [
            {
                "id": row.source_id,
                "gold": row.ground_truth,
                "box": _box(row.task, row.ground_truth),
                **pictures.get(row.index_, {"uri": None, "width": None, "height": None}),
                "answers": {name: found[row.source_id] for name, found in answers.items() if row.source_id in found},
            }
            for row in drawn.rename(columns={"index": "index_"}).itertuples()
        ],
    }


def _predictions(one: Comparison) -> pd.DataFrame:
    rows = pd.read_parquet(one.evaluation.folder / "predictions.parquet")
    return rows[rows["data_source"] + "/" + rows["task"] == one.dataset].reset_index(drop=True)


def _common_images(tables: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """One row an image that all runs have answered; where there is none, the first run's images and a note."""
    first, *others = tables.values()
    images = votes(first).drop_duplicates("source_id").reset_index(drop=True)
    shared = images[images["source_id"].isin(set.intersection(*(set(table["source_id"]) for table in tables.values())))]
    if len(shared):
        return shared.reset_index(drop=True), []
    return images, ["the runs have no image in common: the first run's are shown"] if others else []


def _pictures(group: list[Comparison], wanted: dict[int, str]) -> tuple[dict[int, dict], list[str]]:
    """The images from the first run whose prepared rows are still there, or why there are none."""
    reasons = []
    for one in group:
        run = one.evaluation.run
        if not run.get("parquet"):
            reasons.append(f"{one.name}: its run.json does not name the rows (parquet)")
        elif found := thumbnails(Path(run["parquet"]), run.get("split", "test"), wanted):
            return found, []
        else:
            reasons.append(f"{one.name}: its rows are no longer in the folder that run.json names")
    return {}, [f"no images: {'; '.join(dict.fromkeys(reasons))}"]


def _answers(table: pd.DataFrame, wanted: pd.Series) -> dict[str, dict]:
    """{source_id: the answer that stands for the image}; where it was elected, with the other samples."""
    rows = table[table["source_id"].isin(set(wanted))]
    parts = rows.select_dtypes("number").columns.difference(NOT_A_PART, sort=False)
    found: dict[str, dict] = {}
    samples: dict[str, list] = {}
    for row in rows.to_dict("records"):
        answer = _answer(row, parts)
        if row.get("vote", row["source_id"] not in found):
            found[row["source_id"]] = answer
        else:
            samples.setdefault(row["source_id"], []).append(answer)
    return {name: answer | {"samples": samples.get(name, [])} for name, answer in found.items()}


def _answer(row: dict, parts: Iterable[str]) -> dict:
    """{"answer", "rejected", "right", "thought", "response", "tokens", "rewards": [[name, value]], "box"}."""
    response = row["response"]
    cut = "" if len(response) <= LONGEST else f" … (cut: {len(response)} characters)"
    length = row.get("response_length")
    return {
        "answer": row["prediction"],
        "rejected": row["rejected"],
        "right": bool(row["acc"] >= 0.5),
        "thought": parse(response, row["task"]).thought[:LONGEST],
        "response": response[:LONGEST] + cut,
        "tokens": None if length is None else int(length),
        "rewards": [[name, round(float(row[name]), 4)] for name in parts if pd.notna(row[name])],
        "box": _box(row["task"], row["prediction"]),
    }


def _box(task: str, text: str) -> list[float] | None:
    return json.loads(text) if task == "localization" and text else None
