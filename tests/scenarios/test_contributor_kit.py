"""Checks the files for contributors: documentation site, citation, hooks, workflow, issue templates."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repository import CONF, ROOT

TOOLS = ROOT / "docs"
YAML_FILES = [*sorted(ROOT.glob(".github/**/*.yml")), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"]
PAGES = ("index", "reference", "one-step", "upgrading-verl", "CONTRIBUTING", "CHANGELOG", "SECURITY", "launch/index")
LOADED = re.compile(r'<(?:script|img|iframe)[^>]*src="(https?:[^"]+)|<link[^>]*rel="style[^>]*href="(https?:[^"]+)')
TOY = "# The file.\na: 1   # one\n       # more\nb:  # both\n  c: [1,\n    2]\n# above\nd: x\n"


@pytest.fixture
def tools(monkeypatch):
    """The scripts that make pages of the site."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return __import__("make_reference"), __import__("make_file_map")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make docs` builds it: a broken link fails."""
    pytest.importorskip("mkdocs", reason="the development tools are not installed (make lint)")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]  # --strict misses warnings with -q
    result = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.name)
def test_yaml_files_are_mappings(file):
    assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


def test_the_citation_names_the_software_and_the_paper():
    from vrft_aug import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
    assert citation["version"] == __version__
    paper = citation["preferred-citation"]
    assert paper["year"] == 2026 and "2602.10619" in paper["url"]
    assert [author["family-names"] for author in paper["authors"]][:2] == ["Yang", "Yu"] and len(paper["authors"]) == 10


def test_the_workflow_runs_the_checks_of_the_repository():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert "bash .ci/run" in [step.get("run") for step in steps]
    assert {"python-version": "3.11"} in [step.get("with") for step in steps]


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_template_has_what_github_requires(form):
    template = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8"))
    assert template["name"] and template["description"]
    assert all(part["attributes"].get("label") or part["type"] == "markdown" for part in template["body"])


def test_the_hooks_are_valid_and_need_no_network():
    pytest.importorskip("pre_commit", reason="the development tools are not installed (make lint)")
    result = subprocess.run([sys.executable, "-m", "pre_commit", "validate-config"], cwd=ROOT, capture_output=True)
    assert result.returncode == 0, result.stdout
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in hooks["repos"]} == {"local"}
    assert {hook["language"] for repository in hooks["repos"] for hook in repository["hooks"]} <= {"system", "pygrep"}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_changelog_has_the_current_version():
    from vrft_aug import __version__

    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased" and __version__ in headings


def test_the_site_has_every_page_and_asks_nobody(site):
    for page in PAGES:
        assert (site / f"{page}.html").is_file()
    assert {page.name: found for page in site.rglob("*.html") if (found := LOADED.findall(page.read_text()))} == {}


def test_the_reference_has_every_choice_and_its_comments(tools):
    reference, _ = tools
    page = reference.page(CONF)
    for file in CONF.rglob("*.yaml"):
        assert f"### {file.stem} {{ #{file.parent.name}-{file.stem} }}" in page, file
    assert "| `grading.mfrs` | `{weight: 0.9, credit: [1.0, 0.25, 0.0625]}` |" in page
    found = {key.name: key for key in reference.keys(TOY)}
    assert {name: (key.value, key.comment) for name, key in found.items()} == {
        "a": ("1", "one more"), "b": ("", "both"), "b.c": ("[1, 2]", ""), "d": ("x", "above"),
    }  # fmt: skip


def test_the_file_map_has_every_module(tools):
    _, file_map = tools
    page = file_map.page(ROOT)
    files = [path for path in (ROOT / "vrft_aug").rglob("*.py")]
    assert all(f"| `{path.name}` |" in page for path in files)
