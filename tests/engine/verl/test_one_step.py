"""Checks that docs/one-step.md names files, functions and lines that exist, and that the way is short."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

PAGE = (ROOT / "docs" / "one-step.md").read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", PAGE)))


def file_of(path: str) -> Path:
    if not path.startswith("verl/"):
        return ROOT / path
    spec = importlib.util.find_spec("verl")
    return Path(spec.submodule_search_locations[0]).parent / path


def definitions(path: Path) -> set[str]:
    """Names of functions, classes and methods, such as `Class.method`."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {f"{node.name}.{child.name}" for child in node.body if hasattr(child, "name")}
    return found


@pytest.mark.parametrize(("path", "function"), PLACES)
def test_a_place_exists(path, function):
    assert function in definitions(file_of(path))


def test_every_python_file_is_named_with_its_function():
    named = set(re.findall(r"`([\w/]+\.py)[^`]*`", PAGE)) - {"tests/engine/verl/test_one_step.py"}
    assert named == {path for path, _ in PLACES}


def test_the_advantage_is_at_most_ten_hops_away():
    hops = re.findall(r"^(\d+)\. `([\w/]+\.py):([\w.]+)`", PAGE, re.MULTILINE)
    assert [int(number) for number, *_ in hops] == list(range(1, len(hops) + 1)) and len(hops) <= 10
    code = re.search(r"```python\n(.+)\n```", PAGE).group(1)
    *_, path, function = hops[-1]
    text = file_of(path).read_text(encoding="utf-8")
    (node,) = (node for node in ast.parse(text).body if getattr(node, "name", "") == function)
    assert code in ast.get_source_segment(text, node)
