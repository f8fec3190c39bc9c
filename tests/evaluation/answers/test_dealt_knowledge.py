"""Tests prompts with the wrong descriptions or with none: what changes in them, and all that must not."""

from dataclasses import replace

import pandas as pd
import pytest

from vrft_aug.data.prompts.rendering import IMAGE_MARK, render
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.evaluation.answers import dealt_knowledge
from vrft_aug.evaluation.answers.conditions import CONDITIONS, Asked
from vrft_aug.evaluation.answers.predict import predict
from vrft_aug.rewards import compose

TEXTS = {"clear": "no spots", "dots": "many small spots", "disc": "one large spot", "ring": "a bright circle"}
DATASET = Dataset("toy", "Toys", "drawing", "the paper", "spot", "classification", list(TEXTS), {})
PROMPT = Prompt("knowledge", "classify", None, True, "description", "shuffled", False)


def rows(*orders: list[str], knowledge: dict[str, str] = TEXTS) -> pd.DataFrame:
    """One prepared row per order of classes."""
    table = []
    for index, classes in enumerate(orders):
        texts = [knowledge[name] for name in classes] if knowledge else []
        prompt = render("classify", DATASET, classes, texts)
        info = {"task": "classification", "index": index, "source_id": f"image_{index}", "group_id": f"image_{index}",
                "classes": classes, "knowledge": texts, "prompt": prompt, "aliases": []}  # fmt: skip
        table.append({"data_source": "toy", "prompt": [{"role": "user", "content": IMAGE_MARK + prompt}],
                      "images": [{"bytes": b"", "path": None}], "reward_model": {"ground_truth": classes[0]},
                      "extra_info": info})  # fmt: skip
    return pd.DataFrame(table)


ROWS = rows(list(TEXTS), ["ring", "dots", "clear", "disc"])


def contents(table: pd.DataFrame) -> list[str]:
    return [prompt[0]["content"] for prompt in table["prompt"]]


def described(content: str) -> dict[str, str]:
    """{class: its description} of a prompt, in its order."""
    lines = [line[2:].rstrip(".") for line in content.splitlines() if line.startswith("- ")]
    return dict(line.split(": ") for line in lines)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_gets_the_description_of_another_one_and_the_same_in_every_row(seed: int):
    found = dealt_knowledge.wrong_knowledge(ROWS, DATASET, PROMPT, seed)
    first, second = map(described, contents(found))
    assert [list(first), list(second)] == [list(TEXTS), ["ring", "dots", "clear", "disc"]]
    assert first == second and sorted(first.values()) == sorted(TEXTS.values())
    assert all(first[name] != TEXTS[name] for name in TEXTS)
    assert contents(found) == contents(dealt_knowledge.wrong_knowledge(ROWS, DATASET, PROMPT, seed))


def test_nothing_but_the_descriptions_changes():
    (real, _), (wrong, _) = contents(ROWS), contents(dealt_knowledge.wrong_knowledge(ROWS, DATASET, PROMPT, 0))
    assert real != wrong
    unlike = [pair for pair in zip(real.splitlines(), wrong.splitlines(), strict=True) if pair[0] != pair[1]]
    assert all(line.startswith("- ") for pair in unlike for line in pair) and len(unlike) == len(TEXTS)
    found = dealt_knowledge.wrong_knowledge(ROWS, DATASET, PROMPT, 0)
    for column in set(ROWS) - {"prompt"}:
        assert found[column].tolist() == ROWS[column].tolist()


def test_without_knowledge_it_is_the_prompt_of_names_alone():
    found = dealt_knowledge.no_knowledge(ROWS, DATASET, PROMPT)
    assert contents(found) == contents(rows(list(TEXTS), ["ring", "dots", "clear", "disc"], knowledge={}))
    assert found["extra_info"].tolist() == ROWS["extra_info"].tolist()


@pytest.mark.parametrize("size", [2, 3, 7])
def test_any_number_of_classes_is_dealt_in_one_circle(size: int):
    names = tuple(f"class {number}" for number in range(size))
    for seed in range(20):
        givers, name, circle = dict(zip(names, dealt_knowledge.dealt(names, names, seed), strict=True)), names[0], []
        for _ in names:
            name = givers[name]
            circle.append(name)
        assert circle[-1] == names[0] and set(circle) == set(names)


def test_seeds_deal_differently():
    names = tuple(f"class {number}" for number in range(8))
    assert len({tuple(dealt_knowledge.dealt(names, names, seed)) for seed in range(10)}) > 5


@pytest.mark.parametrize(("table", "prompt", "wrong", "reason"), [
    (ROWS, PROMPT, True, ""),
    (ROWS, replace(PROMPT, knowledge=False), False, "the prompt has no knowledge"),
    (rows(list(TEXTS), knowledge={}), PROMPT, False, "the prompt has no knowledge"),
    (rows(["dots"]), PROMPT, False, ""),
    (rows(["dots"]), PROMPT, True, "two classes are the least"),
    (rows(["dots", "disc"], knowledge={"dots": "a spot", "disc": "a spot"}), PROMPT, False, ""),
    (rows(["dots", "disc"], knowledge={"dots": "a spot", "disc": "a spot"}), PROMPT, True, "no other class has"),
    (ROWS.assign(prompt=[[{"role": "user", "content": "<image>What?"}]] * 2), PROMPT, False, "prepare again"),
])  # fmt: skip
def test_obstacles(table: pd.DataFrame, prompt: Prompt, wrong: bool, reason: str):
    found = dealt_knowledge.obstacle(table, DATASET, prompt, wrong)
    assert reason in found and bool(found) == bool(reason)
    name = "wrong_knowledge" if wrong else "no_knowledge"
    assert CONDITIONS[name].obstacle(table, Asked(DATASET, prompt, 0)) == found


def test_answers_are_scored_by_the_true_row_and_the_table_shows_what_was_asked():
    objective = compose("recite_pos")
    true = "<think>clear: no spots dots: many small spots</think> \\boxed{clear}"
    asked = dealt_knowledge.wrong_knowledge(ROWS, DATASET, PROMPT, 0)
    tables = [predict(one, objective, lambda prompts, images: [[(true, 9)]] * len(prompts)) for one in (ROWS, asked)]
    for key in ("acc", "score", "ground_truth", "prediction"):
        assert tables[0][key].tolist() == tables[1][key].tolist()
    assert tables[0]["prompt"].tolist() == [info["prompt"] for info in ROWS["extra_info"]]
    assert [IMAGE_MARK + text for text in tables[1]["prompt"]] == contents(asked) != contents(ROWS)
