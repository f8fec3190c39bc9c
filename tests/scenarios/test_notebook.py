"""The notebook of examples/ runs from top to bottom and is committed without outputs."""

from pathlib import Path

import pytest
from repository import ROOT

nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SHOWN = {  # notebook -> what its outputs must contain
    "rewards_and_data": ("several answers", "unknown key", "train.parquet", "Quadratic weighted kappa", "report.html"),
}


def text_of(notebook) -> str:
    """Everything that the cells printed or displayed as a text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    there = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=there).execute()
    shown = text_of(notebook)
    assert [part for part in SHOWN[file.stem] if part not in shown] == []
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 2  # the contact sheet and the curves


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_is_committed_without_outputs(file: Path):
    code = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
