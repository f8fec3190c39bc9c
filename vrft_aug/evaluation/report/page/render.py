"""Renders a report as one HTML file that needs no network: tables, curves, confusion matrices and test images."""

import base64
import hashlib
import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report.content import Content
from vrft_aug.evaluation.report.groups import by_dataset, title_of
from vrft_aug.evaluation.report.page.embedded_rollouts import embedded
from vrft_aug.evaluation.report.page.gallery import gallery
from vrft_aug.evaluation.report.page.page_files import FOLDER, SCRIPTS, STYLES, text_of
from vrft_aug.evaluation.report.panels import by_dataset as trainings_by_dataset
from vrft_aug.evaluation.report.panels import curve_data
from vrft_aug.evaluation.report.paper.claims_layout import claims_notes, claims_table
from vrft_aug.evaluation.report.paper.paper_figures import CAPTIONS
from vrft_aug.evaluation.report.paper.paper_layout import layout
from vrft_aug.evaluation.report.provenance import training_line
from vrft_aug.evaluation.report.result_tables import READING, page_tables
from vrft_aug.evaluation.report.shown import HEADING, Finding, findings
from vrft_aug.evaluation.report.signs import explained, sign_table

WHOLE = 24  # characters of a cell that stay in one line
IMAGES = 48  # test images per data set
LARGEST = 14 * 2**20  # bytes of a page; a larger page gets a smaller gallery


def render(content: Content, images: int = IMAGES) -> bytes:
    """The page in UTF-8, with `images` images per data set. This number is halved until the page fits into LARGEST.

    Every text is escaped, and the data by Jinja's `tojson`, so a policy's answer can never become markup. A content
    security policy allows only the page's own script.
    """
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters["wrappable"] = wrappable
    template = environment.get_template("page.html.jinja")
    fixed, wanted, rollouts = _fixed(content), images, embedded(content.trainings)
    while True:
        shown = gallery(content.comparisons, images) if images else []
        if images < wanted:
            for one in shown:
                one["notes"].append(f"The gallery has fewer than {wanted} images to keep this page small")
        data = {"curves": _curves(content), "gallery": shown, "rollouts": rollouts}
        html = template.render(**fixed, sections=_sections(fixed, data), data=data).encode()
        if len(html) <= LARGEST or not images:
            return html
        images //= 2


def wrappable(text: str) -> Markup:
    """A cell's text that may break only before and after brackets: "43.5 (38.7–48.4) †"."""
    parts = [f'<span class="whole">{escape(part)}</span>' if len(part) <= WHOLE else escape(part)
             for part in re.split(r" (?=\()|(?<=\)) ", text)]  # fmt: skip
    return Markup(" ".join(parts))


def _fixed(content: Content) -> dict[str, Any]:
    """What the template shows, except for curves and gallery."""
    script = Markup(text_of(SCRIPTS))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    signs, claims = sign_table(content.trainings), claims_table(content.claims)
    return {
        "title": content.title,
        "style": Markup(text_of(STYLES)),
        "script": script,
        "script_hash": f"sha256-{digest}",
        "reading": READING,
        "legend": content.legend,
        "paper": _paper(content),
        "claims": {"table": claims, "notes": claims_notes(content.claims)} if claims else None,
        "results": page_tables(content.comparisons),
        "shown": _shown(content),
        "topics": [(topic, [(_data_uri(one.png), one.caption) for one in topic.drawings]) for topic in content.topics],
        "confusions": _confusions(content),
        "trainings": [training_line(one) for one in content.trainings],
        "signs": {"table": signs, "notes": explained(signs)} if signs else None,
        "missing": content.missing,
    }


def _sections(fixed: dict, data: dict) -> list[tuple[str, str]]:
    """(anchor, heading) of the sections that have something to show."""
    found = {
        ("shown", HEADING): fixed["shown"],
        ("paper", fixed["paper"] and fixed["paper"]["heading"]): fixed["paper"],
        ("claims", "Claims"): fixed["claims"],
        ("results", "Results"): fixed["results"],
        **{(topic.anchor, topic.heading): True for topic, _ in fixed["topics"]},
        ("confusion", "Confusion matrices"): fixed["confusions"],
        ("training", "Training"): data["curves"] or fixed["signs"],
        ("rollouts", "Rollouts"): data["rollouts"],
        ("gallery", "Test images"): data["gallery"],
        ("missing", "Missing"): fixed["missing"],
    }
    return [section for section, shown in found.items() if shown]


def _shown(content: Content) -> list[tuple[str, list[Finding]]]:
    """(run and data set, its findings that lead to a section of the page)."""
    found = [(f"{one.name} on {one.dataset}", findings(one)) for one in content.comparisons]
    return [(name, some) for name, some in found if some]


def _paper(content: Content) -> dict[str, Any] | None:
    if content.paper is None:
        return None
    image = content.figure and _data_uri(content.figure)
    caption = CAPTIONS.get(content.paper.name, "")
    return {"heading": content.paper.heading, "table": layout(content.paper), "notes": content.paper_notes,
            "further": content.further, "figure": image, "caption": caption}  # fmt: skip


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _confusions(content: Content) -> list[tuple[str, list[dict]]]:
    """(data set, the matrices of its runs: {"run", "columns", "rows": [(class, counts)]})."""
    groups = by_dataset(content.comparisons).items()
    found = [(title_of(*name), [_matrix(one) for one in group if "confusion" in one.metrics]) for name, group in groups]
    return [(title, group) for title, group in found if group]


def _matrix(one: Comparison) -> dict:
    confusion = one.metrics["confusion"]
    rows = list(zip(confusion["classes"], confusion["counts"], strict=True))
    return {"run": one.name, "columns": confusion["columns"], "rows": rows}


def _curves(content: Content) -> list[dict]:
    groups = trainings_by_dataset(content.trainings).items()
    found = [{"dataset": dataset, "panels": curve_data(group)} for dataset, group in groups]
    return [one for one in found if one["panels"]]
