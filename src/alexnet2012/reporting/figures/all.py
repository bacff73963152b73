"""All figures of a results folder, and the list of them that the report reads."""

from pathlib import Path

from alexnet2012.files import read_json, write_json
from alexnet2012.reporting.figures.curves import draw_curves
from alexnet2012.reporting.figures.differences import draw_differences
from alexnet2012.reporting.figures.error_by_crops import draw_crops
from alexnet2012.reporting.figures.errors_by_variant import draw_errors
from alexnet2012.reporting.figures.figure1 import draw_figure1
from alexnet2012.reporting.figures.figure3 import draw_figure3
from alexnet2012.reporting.figures.figure4 import draw_figure4
from alexnet2012.reporting.figures.forest import draw_forest
from alexnet2012.reporting.figures.names import name_file
from alexnet2012.reporting.figures.style import in_style, save_figure
from alexnet2012.reporting.format import missing_note
from alexnet2012.reporting.results import is_reference, load_results

DRAWN_BY = {
    "claims": draw_forest,
    "errors": draw_errors,
    "curves": draw_curves,
    "differences": draw_differences,
    "crops": draw_crops,
    "figure1": draw_figure1,
    "figure3": draw_figure3,
    "figure4": draw_figure4,
}


def draw_figures(folder: Path, data_folder: Path) -> list[Path]:
    """Draw `folder`/figures/*.png, each dataset's own, and figures.json: file, title, caption and alternative text.

    A figure whose nets or numbers are not there is left out; in a reference, which has neither weights nor data, it
    stays as it was committed. Returns the PNGs that were drawn; raises RecordError for a record that may stand in no
    table.
    """
    results = load_results(folder, data_folder)
    note = missing_note(results)
    kept = {each["file"]: each for each in list_committed(folder / "figures")} if is_reference(folder) else {}
    listed, paths = [], []
    for dataset in results.datasets:
        for name, draw in DRAWN_BY.items():
            path = folder / "figures" / name_file(name, dataset, results.planned_datasets)
            with in_style():
                drawing = draw(results, dataset)
                if drawing is None:
                    listed += [kept[path.name]] if path.name in kept else []
                    continue
                save_figure(drawing.figure, path)
            caption = f"{drawing.caption} {note}".strip()
            title = drawing.title if len(results.datasets) == 1 else f"{drawing.title}, {dataset}"
            words = {"title": title, "caption": caption, "alt": drawing.alt}
            listed.append({"file": path.name} | words)
            paths.append(path)
    write_json(folder / "figures" / "figures.json", listed)
    return paths


def list_committed(folder: Path) -> list[dict[str, str]]:
    """What figures.json lists of the PNGs that are there; nothing where there is no such file."""
    path = folder / "figures.json"
    return [each for each in read_json(path) if (folder / each["file"]).is_file()] if path.is_file() else []
