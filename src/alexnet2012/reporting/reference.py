"""A configuration's reference: what is committed of its results, so that tables can be worked out again."""

from pathlib import Path
from shutil import copyfile

from alexnet2012.errors import RecordError
from alexnet2012.files import read_json, write_json
from alexnet2012.reporting.cards import CARD
from alexnet2012.reporting.figures.all import draw_figures, list_committed
from alexnet2012.reporting.figures.names import OF_IMAGES
from alexnet2012.reporting.page import render_report
from alexnet2012.reporting.results import REFERENCES, is_reference, load_results
from alexnet2012.reporting.tables import render_tables

RECORDS = (
    "runs/*/*/*/record.json",
    "predictions/*/*/*/val.json",
    "predictions/*/*/*/test.json",
    "analyses/*/*/*/analysis.json",
    "calibration/*.json",
)
# What lies beside a record and is committed with it: no weights, no probabilities.
BESIDE = ("config.yaml", "history.parquet", "answers.npz", CARD, "{record}-ranks.npz")
IMAGES = "examples.npz"  # beside an analysis: the images that figure 4 shows
MORE = ("experiments.json", "benchmarks.json", "tables/benchmarks.md", "tables/classes.json")
SHOWN = 10  # of what is missing, in a message


def update_reference(folder: Path, data_folder: Path, with_images: bool = True) -> Path:
    """Add what `folder` holds to the reference beside it, results/reference/NAME, and return that; finished or not.

    Copies every record with what tables count of it, benchmarks, and the figures that need weights or data; then
    renders tables, figures and report in the reference, from what it holds. Nothing else is deleted there. Without
    `with_images` it holds no dataset's images: not figure 4, nor what it is drawn from. Raises RecordError, with
    nothing copied, where `folder` lacks records or experiments that the reference has, or no configuration's results.
    """
    if is_reference(folder):
        raise RecordError(f"{folder} is a reference itself; name the results of a configuration, e.g. results/cifar10")
    load_results(folder, data_folder, partial=True)
    reference = folder.parent / REFERENCES / folder.name
    check_nothing_is_lost(folder, reference)
    more = [Path(name) for name in MORE if (folder / name).is_file()]
    for name in [*list_evidence(folder, with_images), *more]:
        (reference / name).parent.mkdir(parents=True, exist_ok=True)
        copyfile(folder / name, reference / name)
    remove_stale_cards(reference)
    if not with_images:
        remove_images(reference)
    copy_figures(folder / "figures", reference / "figures", with_images)
    render_tables(reference, data_folder)
    draw_figures(reference, data_folder)
    render_report(reference)
    return reference


def check_nothing_is_lost(folder: Path, reference: Path) -> None:
    """Raises RecordError for records that `reference` holds, or nets that it lists, and `folder` does not."""
    lost = [str(path) for path in list_records(reference) if not (folder / path).is_file()]
    if lost:
        raise RecordError(
            f"{folder} lacks {len(lost)} of the records that {reference} holds: {name_some(lost)}. If they are still "
            f"valid, copy them back: `cp -rn {reference} {folder.parent}/`; if they are not, remove them from the "
            "reference: `git rm`"
        )
    if (reference / "experiments.json").is_file():
        unlisted = sorted(list_nets(reference) - list_nets(folder))
        if unlisted:
            raise RecordError(
                f"{folder}/experiments.json does not list {len(unlisted)} of the nets and ensembles that {reference} "
                f"lists: {name_some(unlisted)}. Run their targets again, as in `snakemake claims full`; or, if they "
                f"are to go, `git rm {reference}/experiments.json`"
            )


def list_nets(folder: Path) -> set[str]:
    """The nets and ensembles of experiments.json as <dataset>/<variant>-<hash8>/<seed>."""
    experiments = read_json(folder / "experiments.json")["experiments"]
    return {"/".join(Path(place).parts[-3:]) for entry in experiments for place in entry["predictions"]}


def name_some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def list_records(folder: Path) -> list[Path]:
    """The records below a results folder, relative to it."""
    return sorted(path.relative_to(folder) for pattern in RECORDS for path in folder.glob(pattern))


def list_evidence(folder: Path, with_images: bool) -> list[Path]:
    """The records, and before each what lies beside it, relative to `folder`."""
    found = []
    for record in list_records(folder):
        names = [*(name.format(record=record.stem) for name in BESIDE), *([IMAGES] if with_images else [])]
        beside = [record.with_name(name) for name in names]
        found += [*(path for path in beside if (folder / path).is_file()), record]
    return found


def remove_stale_cards(reference: Path) -> None:
    """Remove model cards of other weights than the record beside them: a net was trained anew, its card not written."""
    for card in reference.glob(f"runs/*/*/*/{CARD}"):
        if read_json(card.with_name("record.json"))["weights_sha256"] not in card.read_text(encoding="utf-8"):
            card.unlink()


def copy_figures(source: Path, target: Path, with_images: bool) -> None:
    """Those of `source` beside those of `target`, which keeps what `source` has not."""
    wanted = [each for each in list_committed(source) if with_images or not shows_images(each["file"])]
    listed = {each["file"]: each for each in [*list_committed(target), *wanted]}
    if listed:
        write_json(target / "figures.json", list(listed.values()))
    for each in wanted:
        copyfile(source / each["file"], target / each["file"])


def remove_images(reference: Path) -> None:
    for path in [*reference.glob(f"analyses/*/*/*/{IMAGES}"), *reference.glob("figures/*.png")]:
        if path.name == IMAGES or shows_images(path.name):
            path.unlink()


def shows_images(name: str) -> bool:
    """Whether a figure, by its file's name, shows images of a dataset: figure4.png, figure4-<dataset>.png."""
    return Path(name).stem.partition("-")[0] in OF_IMAGES
