r"""Reads what a response meant, where the rewards find no class in it: an answer in another tag, or in a sentence.

It serves the report alone and is never a reward: a reward must ask for one form, or the policy learns none. After
localization, for example, a policy may put its diagnosis into `<answer>`. It takes time linear in the text's length and
raises no error, whatever the text.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from vrft_aug.rewards.accuracy import class_of
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import BOX_TASKS, answer_part, parse
from vrft_aug.rewards.row import ExtraInfo

# Texts are normalised first, so every blank is a single one. `++` is read once, without backtracking.
_NUMBER = re.compile(r"(?<![\w.])-?\d++(?:\.\d++)?+(?!\w)", re.ASCII)
_GRADE = re.compile(  # "grade 2", "the answer is: 2"; another number in a sentence may count lesions
    r"\b(?:grade|stage|level|class|category|score|severity|answer|diagnosis)\b[^\d.;,-]{0,20}+"
    r"(?<!\w)(\d++(?:\.\d++)?+)(?!\w| ?[-–/] ?\d)",
    re.ASCII,
)
_VALUE = re.compile(r'" ?: ?("[^"]*+"|\d++(?:\.\d++)?+)')  # of a key in JSON
_DENIED = re.compile(r"\b(?:not|no|without)(?: an?| the)? $")


def meant(response: str, row: ExtraInfo) -> str | None:
    r"""The one class that a response to a row of classification or grading gives as its answer; None where unclear.

    The first of these that exists decides: the answer as the rewards read it; outside of the thought the last
    `\boxed{...}`, the last `<answer>`, a class as a value in JSON, the text; where nothing is outside, a `\boxed` or
    `<answer>` in the thought. It must name exactly one class, in any case, as whole words. A name after "not" does not
    count. A grade in a sentence counts after a word such as "grade" or "answer".

    row: `task` and `classes`, and `aliases` and `form` where the row has them.
    """
    if row["task"] in BOX_TASKS:
        return None
    form = row.get("form")
    label = parse(response, row["task"], form=form).label
    if strict := class_of(label, row) if label else None:
        return strict
    text, names = normalise(response), _names(row)
    tail = answer_part(text, form)
    for said in _stated(tail if _has_words(tail) else text):
        return _one(said, names, _NUMBER)
    values = {names.get(normalise(found[1].strip('"'))) for found in _VALUE.finditer(tail)} - {None}
    if values:
        return values.pop() if len(values) == 1 else None
    return _one(tail, names, _GRADE if re.search(r"[^\W\d_]", tail) else _NUMBER)


def _names(row: ExtraInfo) -> dict[str, str]:
    """{normalised name or alias: its class}."""
    classes, aliases = list(row["classes"]), row.get("aliases")
    several = zip(classes, () if aliases is None else aliases, strict=False)
    return {normalise(alias): name for name, some in several for alias in some} | {
        normalise(name): name for name in classes
    }


def _stated(text: str) -> Iterator[str]:
    r"""The content of the last `\boxed{...}` and of the last `<answer>`, closed or not, if there is a word in it."""
    boxed, answer = text.rpartition("\\boxed"), text.rpartition("<answer>")
    for _, found, rest in ((*boxed[:2], _braced(boxed[2])), (*answer[:2], answer[2].partition("</answer>")[0])):
        if found and _has_words(rest):
            yield rest


def _braced(text: str) -> str:
    """The text up to the brace that closes its first one, or all of it."""
    depth = 0
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth <= 0:
            return text[: brace.start()]
    return text


def _has_words(text: str) -> bool:
    return re.search(r"[^\W_]", text) is not None


def _one(text: str, names: dict[str, str], number: re.Pattern[str]) -> str | None:
    """The class that a text names, if it names exactly one. number: finds the grades."""
    words = _words(tuple(name for name in names if not name.isdecimal())).finditer(text)
    found = {names[one[0]] for one in words if not _DENIED.search(text, max(0, one.start() - 12), one.start())}
    if any(name.isdecimal() for name in names):
        grades = {re.sub(r"\.0+$", "", one[one.lastindex or 0]) for one in number.finditer(text)}
        found |= {names.get(grade, "") for grade in grades}
    return found.pop() or None if len(found) == 1 else None


@lru_cache(maxsize=128)
def _words(names: tuple[str, ...]) -> re.Pattern[str]:
    """Finds any of the names as whole words, the longest first: "melanocytic nevi" is not another class's "nevi"."""
    longest_first = sorted(filter(None, names), key=len, reverse=True)
    either = "|".join(map(re.escape, longest_first)) or "(?!)"  # which matches nothing
    return re.compile(rf"(?<![^\W_])(?<!-)(?:{either})(?![^\W_]|-)")  # `_` around a word is Markdown
