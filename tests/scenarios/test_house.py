"""The rules of the house: nothing imports upward, no circle, one file name per thing, a first line for every module."""

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from repository import ROOT

GROUND = {"cli", "configs", "errors", "explanations", "files", "silence"}
FLOORS = [GROUND, {"rewards"}, {"data", "tiny"}, {"engine"}, {"experiments"}, {"evaluation"}]
HEAVY = {"ray", "torch", "verl", "vllm"}  # what data and rewards live without
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "vrft_aug").rglob("*.py"))
    if "conf" not in path.relative_to(ROOT / "vrft_aug").parts
}

TYPED = [*MODULES.values(), *ROOT.glob("recipes/*.py"), *ROOT.glob("launch/*.py")]  # what the type checker reads


def imports(path: Path) -> set[str]:
    """Full names of everything that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(name: str) -> str | None:
    """The module of this package that an imported name is, or lies in."""
    while name not in MODULES and name:
        name = name.rpartition(".")[0]
    return name or None


GRAPH = {name: {found for one in imports(path) if (found := ours(one)) and found != name}
         for name, path in MODULES.items()}  # fmt: skip


def floor(module: str) -> int:
    part = module.split(".")[1] if "." in module else "errors"  # the package itself only states its version
    return next(number for number, parts in enumerate(FLOORS) if part in parts)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_upward(module):
    assert {found for found in GRAPH[module] if floor(found) > floor(module)} == set()


def test_data_does_not_know_the_tiny_policy():
    users = {module for module, found in GRAPH.items() if any(name.startswith("vrft_aug.tiny") for name in found)}
    assert not {module for module in users if module.startswith("vrft_aug.data")}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of imports; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_circle_of_imports():
    assert circle({"a": {"b"}, "b": {"a"}}) and circle(GRAPH) == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(("vrft_aug.data", "vrft_aug.rewards"))])
def test_data_and_rewards_need_no_training_stack(module):
    found = {name.split(".")[0] for name in imports(MODULES[module])} & HEAVY
    assert found <= ({"verl"} if module == "vrft_aug.rewards.adapters.verl" else set())


def test_a_file_name_occurs_once():
    names = Counter(path.name for path in MODULES.values() if path.name != "__init__.py")
    assert {name for name, times in names.items() if times > 1} == set()


@pytest.mark.parametrize("path", [*TYPED, *ROOT.glob("benchmarks/*.py")], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_does(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text and re.match(r"[A-Za-z`].+[.:]( |$)", text.splitlines()[0])


def test_an_ignored_type_has_its_reason_beside_it():
    lines = [line for path in TYPED for line in path.read_text(encoding="utf-8").splitlines()]
    ignored = [line for line in lines if "type: ignore" in line]
    assert [line for line in ignored if not re.search(r"# type: ignore\[[\w-]+(, [\w-]+)*\]  # \S", line)] == []
