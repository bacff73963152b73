"""What a report shows beside tables: the trainings, where their curves are in MLflow, and the figures."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from alexnet2012.errors import RecordError
from alexnet2012.files import read_json
from alexnet2012.reporting.results import Results
from alexnet2012.reporting.trained_nets import TrainedNet
from alexnet2012.tracking.browser import page_address, search_address
from alexnet2012.tracking.store import TrackingIds

LOCAL_BROWSER = "http://127.0.0.1:5000"  # where `alexnet2012 ui` listens
CSS_DPI = 96  # pixels of a page to the inch: a figure is shown at the size it was drawn for


@dataclass(frozen=True)
class RunBrowser:
    """An experiment in the run browser of `server`; `local`: it answers only while `alexnet2012 ui` runs."""

    server: str
    experiment_id: str
    local: bool

    @property
    def runs(self) -> str:
        """Address of the experiment's list of runs."""
        return page_address(self.server, self.experiment_id)

    def run(self, run_id: str) -> str:
        """Address of one run."""
        return page_address(self.server, self.experiment_id, run_id)

    def find(self, record: Mapping[str, Any]) -> str:
        """Address of a search for the run of a training that had no id yet when its record was written."""
        names = {"configuration": record["config"], "dataset": record["dataset"]["name"]}
        names |= {"variant": record["variant"], "seed": str(record["seed"])}
        return f"{page_address(self.server).partition('#')[0]}{search_address(self.experiment_id, **names)}"


def read_store(path: Path) -> RunBrowser | None:
    """The store that tracking.json names; None where there is no such file, or the store was out of reach then."""
    if not path.is_file():
        return None
    ids = TrackingIds.load(path)
    if ids.experiment_id is None:
        return None
    local = urlsplit(ids.uri).scheme not in ("http", "https")
    return RunBrowser(LOCAL_BROWSER if local else ids.uri, ids.experiment_id, local)


def list_runs(results: Results) -> list[TrainedNet]:
    """Every trained net of the results once, by dataset, variant and seed as the configuration lists them."""
    nets = {(each.dataset, each.key, net.seed): net for each in results.experiments for net in each.nets}
    return [net for net in nets.values() if net.training]


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI, `width` and `height` in pixels of the page; `anchor` is its place in the page.

    `alt` says what is seen.
    """

    anchor: str
    title: str
    caption: str
    alt: str
    source: str
    width: int
    height: int


def read_figures(folder: Path) -> list[Figure]:
    """The figures that `folder`/figures.json lists, in its order; none where there is no such folder.

    Raises RecordError for a figure that is not in the folder, or is no PNG.
    """
    if not folder.is_dir():
        return []
    path = folder / "figures.json"
    listed = read_json(path)
    try:
        return [read_figure(folder, each["file"], each["title"], each["caption"], each.get("alt")) for each in listed]
    except (KeyError, TypeError) as error:
        raise RecordError(f"{path} is not complete ({error}); remove it and run snakemake to draw anew") from None


def read_figure(folder: Path, file: str, title: str, caption: str, alt: str | None) -> Figure:
    path = folder / file
    if path.parent != folder or not path.is_file():
        raise RecordError(f"{folder / 'figures.json'} names {file}, which is not beside it; run snakemake to draw it")
    with picture(path) as image:
        scale = CSS_DPI / image.info.get("dpi", (CSS_DPI, CSS_DPI))[0]
        width, height = (round(side * scale) for side in image.size)
    source = embed("image/png", path.read_bytes())
    return Figure(f"figure-{path.stem}", title, caption, alt or title, source, width, height)


def embed(media_type: str, content: bytes) -> str:
    """A data URI, by which a page holds a picture itself."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@contextmanager
def picture(path: Path) -> Iterator[Image.Image]:
    """The image of a PNG; raises RecordError when the file is none, or is damaged."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            yield image
    except (OSError, SyntaxError) as error:
        raise RecordError(f"{path} is no whole PNG ({error}); remove it and run snakemake to draw it") from None
