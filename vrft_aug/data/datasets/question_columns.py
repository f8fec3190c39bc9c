"""Reads a question with its options from the columns of a table: our own, or those of VQA-RAD, SLAKE and PMC-VQA."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vrft_aug.data.datasets.csv_file import Row
from vrft_aug.data.datasets.sample import Question
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import parse

YES_NO = ("yes", "no")
LETTERS = "ABCD"
OPEN = "open questions"
UNLISTED = "closed questions without listed options, answered neither by yes nor by no"
PUBLISHED = ("put the published files there (dataset.source says where they are), or name others with "
             "dataset.loader.files and their kind with dataset.loader.columns")  # fmt: skip
REMEDY = "write one line per question: image,question,options,answer and optionally type,group,split; options as a|b|c"

Read = Callable[[Row], Question | str]  # the question of a row, or what kind of row it is that is left out


class Columns(NamedTuple):
    """The columns of a kind of table.

    image, needs: the column of the image, and the others that must exist. read: see `Read`. type: the column with the
    type of the question, "" for none. test: of a row, whether the authors test with it; None: the table does not say.
    own: the user can correct the table, so a question that cannot be used is a mistake.
    """

    image: str
    needs: tuple[str, ...]
    read: Read
    type: str = ""
    test: Callable[[Row], bool] | None = None
    own: bool = False

    @property
    def remedy(self) -> str:
        """What to do if a file is missing or has other columns."""
        return REMEDY if self.own else PUBLISHED


def fault(question: Question) -> str:
    """Why a question cannot be asked, as "questions with ...", or ""."""
    names = [normalise(option) for option in question.options]
    if not question.text:
        return "questions without a text"
    if len(set(names)) < len(names) or len(names) < 2:
        return "questions with equal options" if len(names) > 1 else "questions with fewer than two options"
    if normalise(question.answer) not in names:
        return "questions whose answer is none of the options"
    return "" if all(map(_can_be_answered, question.options)) else "questions with an option that \\boxed{} cannot hold"


def _can_be_answered(option: str) -> bool:
    """Whether the parser reads the option as it is from an answer."""
    if not re.search(r"[\\{}<>]", option) and len(option) < 500:
        return bool(normalise(option))
    return parse(f"<think>x</think> \\boxed{{{option}}}", "question").label == normalise(option)


def _chosen(text: str, options: Sequence[str], answer: str) -> Question:
    """The question with its answer as the options write it."""
    same = (option for option in options if normalise(option) == normalise(answer))
    return Question(text, tuple(options), next(same, answer))


def _own(row: Row) -> Question | str:
    listed = [option.strip() for option in row["options"].split("|")] if row["options"] else []
    if not listed and row["answer"].lower() not in YES_NO:
        return OPEN
    return _chosen(row["question"], listed or YES_NO, row["answer"])


def _yes_no(row: Row) -> Question | str:
    """A closed question of VQA-RAD or SLAKE, whose tables list no options."""
    if row["answer_type"].upper() != "CLOSED":
        return OPEN
    return _chosen(row["question"], YES_NO, row["answer"]) if row["answer"].lower() in YES_NO else UNLISTED


def _pmc(row: Row) -> Question:
    """A question of PMC-VQA: four choices as "A: text", and the right one as a letter or as its text."""
    choices = [re.sub(rf"^{letter}\s*[:.)]\s*", "", row[f"Choice {letter}"]) for letter in LETTERS]
    stated = row.get("Answer_label") or row["Answer"]
    letter = re.fullmatch(r"([A-D])\s*[:.)]?", stated)
    answer = choices[LETTERS.index(letter[1])] if letter else re.sub(r"^[A-D]\s*:\s*", "", stated)
    return _chosen(row["Question"], choices, answer)


def columns_of(name: str, language: str) -> Columns:
    """The columns of this name. language: of SLAKE's questions."""

    def slake(row: Row) -> Question | str:
        return _yes_no(row) if row["q_lang"] == language else f"questions in another language than q_lang={language}"

    return {
        "own": Columns("image", ("question", "options", "answer"), _own, "type", own=True),
        "vqa_rad": Columns("image_name", ("question", "answer", "answer_type", "question_type"), _yes_no,
                           "question_type", lambda row: row.get("phrase_type", "").startswith("test")),
        "slake": Columns("img_name", ("question", "answer", "q_lang", "answer_type", "content_type"), slake,
                         "content_type"),
        "pmc_vqa": Columns("Figure_path", ("Question", *(f"Choice {letter}" for letter in LETTERS), "Answer"), _pmc),
    }[name]  # fmt: skip


NAMES = ("own", "vqa_rad", "slake", "pmc_vqa")
