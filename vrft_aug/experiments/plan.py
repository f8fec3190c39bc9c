"""Prints what a table would cost: one line per cell, and on request the commands of its stages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vrft_aug.engine.run.preflight import GIB
from vrft_aug.errors import InputError
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.cost import Cost
from vrft_aug.experiments.footprint import Footprints
from vrft_aug.experiments.stages import Stage
from vrft_aug.experiments.survey import TRAININGS, Survey

EXPLANATION = (
    "Nobody has measured these numbers. An answer counts as long as the policy allows. Token passes: rollout, "
    "log-probabilities, reference, and three for the update. At least: some numbers of images are not known. "
    "plan_tokens_per_second=<number> changes the assumption, plan=commands prints the commands."
)


@dataclass(frozen=True)
class Form:
    """commands: print them. tokens_per_second: assumed, per GPU; None: no GPU, so no hours."""

    commands: bool
    tokens_per_second: float | None

    def __post_init__(self) -> None:
        if self.tokens_per_second is not None and not self.tokens_per_second > 0:
            raise InputError(f"plan_tokens_per_second={self.tokens_per_second}: must be above 0")

    def hours(self, tokens: int) -> str:
        """GPU hours of these tokens, with the assumption behind them; empty without a GPU."""
        if self.tokens_per_second is None:
            return ""
        hours = tokens / self.tokens_per_second / 3600
        shown = f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}"
        return f"{shown} GPU hours (assumed: {self.tokens_per_second:,} tokens/s)"


def lines(work: Sequence[tuple[Cell, list[Stage]]], survey: Survey, done: set[Stage], form: Form) -> Iterator[str]:
    """The plan as text. A stage that several cells share is counted in the first of them."""
    seen, total = set[Stage](), Cost()
    with Footprints() as footprints:
        refusals = [survey.refusal(cell, stages) for cell, stages in work]  # reads every config
        for (cell, stages), reason in zip(work, refusals, strict=True):
            if reason:
                yield f"{cell.folder}: cannot run: {reason}"
            else:
                to_run = [stage for stage in stages if stage not in done | seen]
                costs = survey.costs(cell, stages, footprints)
                spent = sum((costs[stage] for stage in to_run if stage in costs), Cost())
                total += spent
                memory = [str(survey.footprint(one, footprints)) for one in to_run if one.recipe in TRAININGS]
                parts = [*_numbers(spent, form, survey.visual_tokens(stages)), *memory[-1:]]
                yield f"{cell.folder}: {_named(to_run)}{_least(spent)}{', '.join(filter(None, parts))}"
            if form.commands:
                yield from _commands(stages, done, seen)
            seen.update(stages)
    yield from _summary(len(work), sum(map(bool, refusals)), seen, done)
    yield from _remarks(total, survey, form)


def _named(to_run: list[Stage]) -> str:
    return f"{' + '.join(dict.fromkeys(stage.name for stage in to_run)) or 'done, or shared with a cell above'}: "


def _numbers(spent: Cost, form: Form, visual_tokens: str) -> list[str]:
    numbers = {"steps": spent.steps, "rollouts": spent.rollouts, "validation answers": spent.validations,
               "supervised rows": spent.rows, "validation rows": spent.validation_rows, "test answers": spent.tests,
               "M token passes": round(spent.tokens / 1e6)}  # fmt: skip
    return [
        *(f"{number:,} {name}" for name, number in numbers.items() if number),
        f"{visual_tokens} visual tokens per image",
        form.hours(spent.tokens) if spent.tokens else "",
        f"{spent.saved / GIB:,.1f} GiB of checkpoints" if spent.saved else "",
    ]


def _summary(cells: int, refused: int, stages: set[Stage], done: set[Stage]) -> Iterator[str]:
    cannot = f"; {refused} of them cannot run" if refused else ""
    yield f"{cells} cells{cannot}; {len(stages)} stages: {len(stages & done)} done, {len(stages - done)} to run"


def _remarks(total: Cost, survey: Survey, form: Form) -> Iterator[str]:
    if hours := form.hours(total.tokens):
        yield f"all cells: {_least(total)}{hours}"
    for reason in dict.fromkeys(survey.unread.values()):
        names = ", ".join(name for name, other in survey.unread.items() if other == reason)
        yield f"{names}: images counted from shots, not checked: {reason}"
    yield EXPLANATION


def _least(cost: Cost) -> str:
    return "" if cost.known else "at least " if cost.tokens else "answers not known, "


def _commands(stages: list[Stage], done: set[Stage], seen: set[Stage]) -> Iterator[str]:
    for stage in stages:
        state = "done" if stage in done else "shared" if stage in seen else "to run"
        yield f"  {stage.name:16} {state:7} python {' '.join(stage.command)}"
