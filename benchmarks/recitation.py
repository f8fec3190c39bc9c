"""Prints what each reading of the recitation reward pays for typical responses to our BloodMNIST prompt.

    python benchmarks/recitation.py            # three seconds; prints the table of docs/recitation.md
    python benchmarks/recitation.py --write    # also writes it into that page

The prompt and its knowledge are those that recipes/prepare.py writes for dataset=blood prompt=knowledge. Every number
is the reward itself: BLEU from 0 to 1, before its weight.
"""

import argparse
import re
from pathlib import Path

from vrft_aug.configs import compose
from vrft_aug.data.knowledge import reading
from vrft_aug.data.prompts import rendering
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.rewards import ExtraInfo
from vrft_aug.rewards.parsing import parse
from vrft_aug.rewards.recitation import references, reward

PAGE = Path(__file__).resolve().parents[1] / "docs" / "recitation.md"
TABLE = re.compile(r"(?<=<!-- benchmarks/recitation.py -->\n).*?(?=<!-- end -->)", re.DOTALL)
CLASS = "neutrophil"
READINGS = {
    "knowledge (the default)": {},
    "knowledge, no brevity penalty": {"brevity_penalty": False},
    "classes": {"reference": "classes"},
    "prompt": {"reference": "prompt"},
    "whole response, knowledge": {"hypothesis": "response"},
    "whole response, prompt": {"hypothesis": "response", "reference": "prompt"},
}
OWN = (
    "The cell in the middle is larger than the red cells around it. I count four dark purple segments with thin "
    "bridges between them, and the space around them is light with many tiny dots. No large orange or dark blue grains "
    "cover the nucleus, so this should be a mature cell that fights bacteria."
)
GENERIC = "I look at the image, compare it with each category, and choose the one that fits best."


def blood() -> ExtraInfo:
    """What a row of BloodMNIST tells the reward."""
    config = compose("prepare", ["dataset=blood", "prompt=knowledge", "out=unused"])
    dataset, prompt = Dataset.of(config.dataset), Prompt.of(config.prompt)
    knowledge = reading.texts(reading.read_for(dataset), dataset.classes, prompt.attributes)
    text = rendering.render(prompt.template, dataset, dataset.classes, knowledge)
    return {"task": dataset.task, "classes": dataset.classes, "knowledge": knowledge, "prompt": text}


def thoughts(row: ExtraInfo) -> dict[str, str]:
    """What stands between <think> and </think>, by its name in the table."""
    (block,) = references(row, "knowledge")
    entry = references(row, "classes")[row["classes"].index(CLASS)]
    instructions = "\n".join(line for line in row["prompt"].splitlines() if not line.startswith("- "))
    return {
        "the whole knowledge, word for word": block,
        "the whole prompt, word for word": row["prompt"],
        "the instructions alone, word for word": instructions,
        f"the entry of {CLASS}, word for word": entry,
        f"the entry of {CLASS}, then own reasoning": f"{entry}. {OWN}",
        "own reasoning": OWN,
        "a general sentence": GENERIC,
        "nothing": "",
    }


def table() -> str:
    """One row per response and one column per reading, as Markdown."""
    row = blood()
    lines = [f"| thought | {' | '.join(READINGS)} |", f"|---|{'---|' * len(READINGS)}"]
    for name, thought in thoughts(row).items():
        response = parse(rf"<think>{thought}</think> \boxed{{{CLASS}}}", row["task"])
        paid = [reward(response, CLASS, row, **reading) for reading in READINGS.values()]
        lines.append(f"| {name} | {' | '.join(f'{value:.4f}' for value in paid)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"also write the table into docs/{PAGE.name}")
    arguments = parser.parse_args()
    printed = table()
    print(printed, end="")
    if arguments.write:
        PAGE.write_text(TABLE.sub(lambda _: printed, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
