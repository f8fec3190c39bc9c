"""Says in plain sentences what a run shows: is it right, is it sure, does it look, does it read, for whom does it fail?

Each sentence rests on a test or an interval that the report shows in the section that the sentence links to.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from vrft_aug.evaluation.metrics.comparison import SIGNIFICANCE, Comparison
from vrft_aug.evaluation.metrics.intervals import McNemar
from vrft_aug.evaluation.metrics.too_little import too_little
from vrft_aug.evaluation.metrics.verdicts import holm
from vrft_aug.rewards.parsing import QUESTION

OPPONENTS = {"pixels": "logistic regression on its pixels", "features": "logistic regression on its own image features"}
HEADING = "What these runs show"
GOOD, BAD, OPEN = "good", "bad", "open"  # kinds of findings; open: the data do not decide it


class Finding(NamedTuple):
    """question: of QUESTIONS. section: the page's anchor with the numbers."""

    question: str
    kind: str
    text: str
    section: str


def findings(one: Comparison) -> list[Finding]:
    """What one run shows on one data set, in the order of the questions; none for what was not measured."""
    return [found for question in QUESTIONS.values() for found in question(one)]


def better(test: McNemar | None) -> bool | None:
    """Whether the run is better than the other one of a McNemar test; None without a test."""
    return None if test is None else test["p"] < SIGNIFICANCE and test["only_b"] > test["only_a"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _is_it_right(one: Comparison) -> Iterator[Finding]:
    question, accuracy = "Is it right?", one.accuracy["value"] or 0.0
    if majority := one.metrics.get("majority"):
        favourite = one.metrics["most_frequent"]
        constant = f"the constant answer {majority['class']} gets {_percent(majority['value'])}"
        if accuracy <= majority["high"]:
            often = (favourite["share"]["value"] or 0.0) if favourite["prediction"] else 0.0
            text = f"It answers by prior: {_percent(often)} of its answers are {favourite['prediction']}"
            yield Finding(question, BAD, f"{text}; {_percent(accuracy)} are right, and {constant}.", "results")
        else:
            yield Finding(question, GOOD, f"{_percent(accuracy)} of its answers are right; {constant}.", "results")
    if (verdict := better(one.test("prior"))) is not None:
        prior = _percent(one.metrics_of("prior")["accuracy"]["value"])
        text = f"{_percent(accuracy)} of its answers are right; the most frequent option of the training gets {prior}."
        kind = GOOD if verdict else BAD
        yield Finding(question, kind, text if verdict else f"It answers no better than by prior: {text}", "questions")
    if little := too_little(one.metrics):
        yield Finding(question, OPEN, f"{little[0].upper()}{little[1:]}.", "results")


def _beside(one: Comparison, name: str, question: str, texts: tuple[str, str], section: str) -> Iterator[Finding]:
    """A finding on a condition under which accuracy must fall. texts: if it falls, and if it does not."""
    verdict = better(one.test(name))
    if verdict is not None:
        before, then = (_percent(metrics["accuracy"]["value"]) for metrics in (one.metrics, one.metrics_of(name)))
        text = f"{texts[0]} from {before} to {then}" if verdict else f"{texts[1]}: {before} without, {then} with"
        yield Finding(question, GOOD if verdict else BAD, f"{text}.", section)


def _does_it_look(one: Comparison) -> Iterator[Finding]:
    texts = ("It looks at the image: with images dealt to the wrong prompts, accuracy falls",
             "It is not shown to look at the image: images dealt to the wrong prompts do not lower its accuracy "
             "significantly")  # fmt: skip
    yield from _beside(one, "shuffled", "Does it look at the image?", texts, "conditions")
    if one.dataset.endswith(f"/{QUESTION}"):
        texts = ("It needs the image: with the image blanked, accuracy falls",
                 "It is not shown to need the image: blanked images do not lower its accuracy "
                 "significantly")  # fmt: skip
        yield from _beside(one, "blank", "Does it look at the image?", texts, "questions")


def _does_it_read(one: Comparison) -> Iterator[Finding]:
    texts = ("It reads the knowledge: with descriptions dealt to the wrong classes, accuracy falls",
             "It is not shown to read the knowledge: descriptions dealt to the wrong classes do not lower its accuracy "
             "significantly")  # fmt: skip
    yield from _beside(one, "wrong_knowledge", "Does it read the knowledge?", texts, "conditions")


def _is_it_sure(one: Comparison) -> Iterator[Finding]:
    question, found = "Is it sure when it is right?", one.metrics.get("probabilities")
    if not found:
        return
    bins = found["reliability"]
    images = sum(bins["count"])
    sure = sum(n * mean for n, mean in zip(bins["count"], bins["confidence"], strict=True) if n) / images
    low, high = one.metrics["accuracy"]["low"], one.metrics["accuracy"]["high"]
    numbers = f"its mean probability is {_percent(sure)}, and {_percent(one.metrics['accuracy']['value'])} are right"
    if sure > high:
        yield Finding(question, BAD, f"It is over-confident: {numbers}.", "probabilities")
    elif sure < low:
        yield Finding(question, BAD, f"It is less sure than it should be: {numbers}.", "probabilities")
    else:
        yield Finding(question, GOOD, f"It is as sure as it is right, on average: {numbers}.", "probabilities")
    if (auroc := found.get("auroc", {}).get("value")) is not None:
        low = found["auroc"]["low"]
        kind = GOOD if low is not None and low > 0.5 else BAD
        text = f"Its probabilities rank the classes with a macro AUROC of {auroc:.3f}."
        yield Finding(question, kind, text, "probabilities")


def _is_it_better(one: Comparison) -> Iterator[Finding]:
    for name, title in OPPONENTS.items():
        if (test := one.test(name)) is not None:
            other = _percent(one.metrics_of(name)["accuracy"]["value"])
            if test["p"] >= SIGNIFICANCE:
                yield Finding("Is it better than an ordinary classifier?", OPEN,
                              f"It is not shown to differ from {title}, which gets {other}.", "results")  # fmt: skip
            elif test["only_b"] > test["only_a"]:
                yield Finding("Is it better than an ordinary classifier?", GOOD,
                              f"It is better than {title}, which gets {other}.", "results")  # fmt: skip
            else:
                yield Finding("Is it better than an ordinary classifier?", BAD,
                              f"It is worse than {title}, which gets {other}.", "results")  # fmt: skip


def _for_whom(one: Comparison) -> Iterator[Finding]:
    question, columns = "For whom does it fail?", one.metrics.get("slices", {})
    tested = [name for name, found in columns.items() if found["p"] is not None]
    differ = dict(zip(tested, holm([columns[name]["p"] for name in tested]), strict=True))
    for name in (name for name, p in differ.items() if p < SIGNIFICANCE and columns[name]["worst"] is not None):
        worst = columns[name]["worst"]
        share = _percent(columns[name]["of"][worst]["accuracy"]["value"])
        text = f"Its accuracy differs by {name}: it is lowest for {worst}, with {share}."
        yield Finding(question, BAD, text, "slices")
    if same := [name for name, p in differ.items() if p >= SIGNIFICANCE]:
        yield Finding(question, OPEN, f"No difference by {', '.join(same)} is shown.", "slices")


QUESTIONS: dict[str, Callable[[Comparison], Iterator[Finding]]] = {
    "right": _is_it_right,
    "look": _does_it_look,
    "read": _does_it_read,
    "sure": _is_it_sure,
    "better": _is_it_better,
    "whom": _for_whom,
}


def lines(runs: Sequence[Comparison]) -> list[str]:
    """The sentences of all runs, each with its run and data set, for Markdown and the terminal."""
    return [f"{one.name} on {one.dataset}: {found.text}" for one in runs for found in findings(one)]
