"""All figures of a results folder, and the list of them that the report reads."""

from pathlib import Path

from alexnet2012.files import write_json
from alexnet2012.reporting.figures import crops, curves, figure1, figure3, figure4
from alexnet2012.reporting.figures.names import name_file
from alexnet2012.reporting.figures.style import in_style, save
from alexnet2012.reporting.results import load_results

DRAWN_BY = {
    "figure1": figure1.draw,
    "figure3": figure3.draw,
    "figure4": figure4.draw,
    "curves": curves.draw,
    "crops": crops.draw,
}


def draw_figures(folder: Path, data_folder: Path) -> list[Path]:
    """Draw `folder`/figures/*.png, each dataset's own, and figures.json: their file, title and caption.

    A figure whose nets or numbers are not there is left out. Returns the PNGs; raises RecordError for a record that
    may stand in no table.
    """
    results = load_results(folder, data_folder)
    listed, paths = [], []
    for dataset in results.datasets:
        for name, draw in DRAWN_BY.items():
            with in_style():
                drawing = draw(results, dataset)
                if drawing is None:
                    continue
                path = folder / "figures" / name_file(name, dataset, results.datasets)
                save(drawing.figure, path)
            listed.append({"file": path.name, "title": drawing.title, "caption": drawing.caption})
            paths.append(path)
    write_json(folder / "figures" / "figures.json", listed)
    return paths
