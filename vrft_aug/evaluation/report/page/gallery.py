"""Selects what the page's gallery shows: test images with each run's reasoning, answer and rewards."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.measure import NOT_A_PART
from vrft_aug.evaluation.report.groups import by_dataset, title_of
from vrft_aug.evaluation.report.page.rollout_data import boxes_of, shortened
from vrft_aug.evaluation.report.page.thumbnails import thumbnails
from vrft_aug.rewards.parsing import QUESTION, parse

LONGEST = 4000  # characters of a response that the page shows


def gallery(comparisons: Sequence[Comparison], limit: int, seed: int = 0) -> list[dict[str, Any]]:
    """One entry per data set and split in the form of JSON, with at most `limit` images; the same for all runs.

    {"title", "total": images to choose from, "classes", "runs", "notes": [str], "images": [{"id", "truth": ground
    truth, "findings": in words or "", "question": with its options or "", "uri": data URI or null, "width", "height":
    original pixels, "more": [{"uri", "width", "height"}] of a row with several images, "boxes": [[x1, y1, x2, y2]] or
    null, with the number of its image first where there are several, "answers": {run's name: answer}}]}; an answer: see
    `_answer`.
    """
    return [_of_set(title_of(*name), group, limit, seed) for name, group in by_dataset(comparisons).items()]


def draw(images: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most `limit` rows, in their order: each class in turn gives one, drawn at random by `seed`.

    The answers play no part, so the gallery is neither better nor worse than the test set.
    """
    turn = images.sample(frac=1, random_state=seed).groupby("ground_truth").cumcount()
    return images.loc[turn.sort_values(kind="stable").index[:limit]].sort_index()


def _of_set(title: str, group: list[Comparison], limit: int, seed: int) -> dict[str, Any]:
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
                "id": row["source_id"],
                "truth": row["ground_truth"],
                "findings": row.get("findings") or "",
                "question": _question(row),
                "boxes": boxes_of(row["task"], row["ground_truth"]),
                **pictures.get(row["index"], {"uri": None, "width": None, "height": None}),
                "answers": {run: by[row["source_id"]] for run, by in answers.items() if row["source_id"] in by},
            }
            for row in drawn.to_dict("records")
        ],
    }


def _predictions(one: Comparison) -> pd.DataFrame:
    rows = pd.read_parquet(one.evaluation.folder / "predictions.parquet")
    return rows[rows["data_source"] + "/" + rows["task"] == one.dataset].reset_index(drop=True)


def _common_images(tables: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """One row per image that all runs have answered; if there is none, the first run's images and a note."""
    first, *others = tables.values()
    images = votes(first).drop_duplicates("source_id").reset_index(drop=True)
    shared = images[images["source_id"].isin(set.intersection(*(set(table["source_id"]) for table in tables.values())))]
    if len(shared):
        return shared.reset_index(drop=True), []
    return images, ["the runs have no image in common: those of the first run are shown"] if others else []


def _pictures(group: list[Comparison], wanted: dict[int, str]) -> tuple[dict[int, dict], list[str]]:
    """The images from the first run whose prepared rows still exist, or the reasons why there are none."""
    reasons = []
    for one in group:
        facts = one.evaluation.facts
        if not facts.parquet:
            reasons.append(f"{one.name}: its run.json does not name the folder of the rows (parquet)")
        elif found := thumbnails(Path(facts.parquet) / f"{facts.split or 'test'}.parquet", wanted):
            return found, []
        else:
            reasons.append(f"{one.name}: its rows are no longer in the folder that run.json names")
    return {}, [f"no images: {'; '.join(dict.fromkeys(reasons))}"]


def _answers(table: pd.DataFrame, wanted: pd.Series) -> dict[str, dict]:
    """{source_id: the answer}; an answer chosen by vote also has the other samples."""
    rows = table[table["source_id"].isin(set(wanted))]
    parts = rows.select_dtypes("number").columns.difference(NOT_A_PART, sort=False)
    found: dict[str, dict] = {}
    samples: dict[str, list[dict]] = {}
    for row in rows.to_dict("records"):
        answer = _answer(row, parts)
        if row.get("vote", row["source_id"] not in found):
            found[row["source_id"]] = answer
        else:
            samples.setdefault(row["source_id"], []).append(answer)
    return {name: answer | {"samples": samples.get(name, [])} for name, answer in found.items()}


def _answer(row: dict, parts: Iterable[str]) -> dict:
    """{"answer", "rejected", "right", "thought", "thought_right": bool or null, "response", "tokens", "rewards":
    [[name, value]], "boxes", "sure": probability of the most probable class or null}."""
    response = row["response"]
    length, named = row.get("response_length"), row.get("thought_right")
    return {
        "answer": row["prediction"],
        "rejected": row["rejected"],
        "right": bool(row["acc"] >= 0.5),
        "thought": parse(response, row["task"], form=row.get("form")).thought[:LONGEST],
        "thought_right": None if pd.isna(named) else bool(named),
        "response": shortened(response, LONGEST),
        "tokens": None if length is None else int(length),
        "rewards": [[name, round(float(row[name]), 4)] for name in parts if pd.notna(row[name])],
        "boxes": boxes_of(row["task"], row["prediction"]),
        "sure": _sure(row),
    }


def _sure(row: dict) -> float | None:
    scores = row.get("probabilities") if row.get("probabilities") is not None else row.get("vote_shares")
    return None if scores is None else round(float(max(scores)), 4)


def _question(row: dict) -> str:
    """What the prompt of a question asks, without its last line, which asks for the form of the answer."""
    return row.get("prompt", "").rpartition("\n")[0] if row["task"] == QUESTION else ""
