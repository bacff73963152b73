"""The lines of docs/python.md and of docs/notebook.ipynb run, on a tiny net in the place of the rehearsal's."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest
from PIL import Image

from alexnet2012.cli import main
from alexnet2012.data.packed import open_packed
from alexnet2012.evaluation.trained import write_inputs

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = nbformat.read(DOCS / "notebook.ipynb", as_version=4)
CODE_CELLS = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
RUNS = Path("results/rehearsal/runs/cifar10/cnn-7f484866")
LARGEST_BYTES = 600_000

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def checkout(root, alone, tmp_path_factory) -> Path:
    """A folder with the nets, images and results that the docs name."""
    folder = tmp_path_factory.mktemp("checkout")
    write_inputs(alone, open_packed(root / "data" / "pictures"))
    for seed in range(2):
        shutil.copytree(alone, folder / RUNS / f"seed{seed}")
    (folder / "results/reference").symlink_to(DOCS.parent / "results/reference")
    (folder / "data").mkdir()
    (folder / "data/cifar10").symlink_to(root / "data" / "pictures")
    (folder / "docs").mkdir()
    (folder / "holidays").mkdir()
    for name in ("cat.jpg", "dog.jpg", "holidays/beach.png"):
        Image.fromarray(np.full((40, 50, 3), 128, np.uint8)).save(folder / name)
    return folder


def test_the_lines_of_the_page_run(checkout, monkeypatch, capsys):
    """Those about ONNX, at its end, where the extra is installed."""
    monkeypatch.chdir(checkout)
    matplotlib.use("agg")
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    *blocks, about_onnx = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 7 and len(names["ensemble"].members) == 2
    assert names["features"]["fc8"].equal(names["logits"])
    assert capsys.readouterr().out.startswith("results/rehearsal lacks model.safetensors")
    if find_spec("onnxruntime") and find_spec("onnxscript"):
        assert main(["export", str(RUNS / "seed0"), "--onnx", "net.onnx"]) == 0
        exec(about_onnx, names)
        assert names["found"].shape == (4, 3)


@pytest.mark.slow
def test_the_notebook_runs(checkout):
    """As in an editor: in the folder of the notebook, by a kernel of its own."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    copy = nbformat.from_dict(NOTEBOOK)
    nbclient.NotebookClient(copy, timeout=300, resources={"metadata": {"path": str(checkout / "docs")}}).execute()
    assert all(cell.execution_count for cell in copy.cells if cell.cell_type == "code")


def test_the_committed_notebook_is_small_and_has_its_outputs():
    assert (DOCS / "notebook.ipynb").stat().st_size < LARGEST_BYTES
    assert [cell.execution_count for cell in CODE_CELLS] == list(range(1, len(CODE_CELLS) + 1))
    outputs = [output for cell in CODE_CELLS for output in cell.outputs]
    assert len(outputs) >= len(CODE_CELLS) and "error" not in {output.output_type for output in outputs}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
