"""Writes a report as Markdown, with the names of the figures beside it."""

from collections.abc import Sequence

from vrft_aug.evaluation.report.content import Content
from vrft_aug.evaluation.report.paper.claims_layout import claims_notes, claims_table
from vrft_aug.evaluation.report.paper.paper_figures import CAPTIONS
from vrft_aug.evaluation.report.paper.paper_layout import layout
from vrft_aug.evaluation.report.provenance import training_line
from vrft_aug.evaluation.report.result_tables import READING, all_tables
from vrft_aug.evaluation.report.shown import HEADING, lines
from vrft_aug.evaluation.report.signs import explained, sign_table
from vrft_aug.evaluation.report.text_table import escaped


def markdown(content: Content) -> str:
    """report.md. A policy's texts cannot become markup."""
    parts = [f"# {content.title}"]
    if shown := lines(content.comparisons):
        parts += [f"## {HEADING}", _list(list(map(escaped, shown)))]
    if content.paper:
        parts += [f"## {content.paper.heading}", layout(content.paper).markdown(), _list(content.paper_notes)]
        parts += [table.markdown() for table in content.further]
        if content.figure:
            parts.append(_figure(f"{content.paper.name}.png", CAPTIONS[content.paper.name]))
    if claims := claims_table(content.claims):
        parts += ["## Claims", claims.markdown(), _list(claims_notes(content.claims))]
    if content.comparisons:
        tables = [table.markdown() for table in all_tables(content.comparisons)]
        parts += ["## Results", READING, *content.legend, *tables]
    for topic in content.topics:
        drawn = [_figure(one.name, one.caption) for one in topic.drawings]
        parts += [f"## {topic.heading}", *topic.reading, *(table.markdown() for table in topic.tables), *drawn]
    parts += _training(content)
    if content.missing:
        parts += ["## Missing", _list(content.missing)]
    return "\n\n".join(parts) + "\n"


def _training(content: Content) -> list[str]:
    parts = [f"![training curves]({name})" for name in content.curves]
    if content.curves:
        parts.append(_list([training_line(one) for one in content.trainings]))
    if signs := sign_table(content.trainings):
        parts += [signs.markdown(), _list(explained(signs))]
    return ["## Training", *parts] if parts else []


def _figure(name: str, caption: str) -> str:
    return f"![{caption}]({name})\n\n{caption}"


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)
