"""A card beside the weights of every trained net, and what else is needed to use them elsewhere."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from alexnet2012.config.datasets import KINDS_IN_ARCHIVES
from alexnet2012.config.schema import read_run
from alexnet2012.data.packed import PackedDataset, open_packed
from alexnet2012.errors import RecordError
from alexnet2012.evaluation.metrics import CROPS
from alexnet2012.evaluation.statistics import estimate_error
from alexnet2012.evaluation.trained import write_inputs
from alexnet2012.files import read_json, write_json, write_text
from alexnet2012.reporting.figures.of_one_net import draw_net
from alexnet2012.reporting.format import CROP_WORDS, Table, error_cell, percent, write_block
from alexnet2012.reporting.origin import list_origin
from alexnet2012.reporting.results import ExperimentResults, load_results, relocate
from alexnet2012.reporting.trained_nets import TrainedNet

CARD = "model_card.md"


def write_model_cards(folder: Path, data_folder: Path) -> tuple[Path, list[Path]]:
    """Write model_card.md, inputs.npz and figures beside the weights of every finished net that
    `folder`/experiments.json lists, and last model_cards.json with the places of the cards; its path, and the folders
    of nets that are not finished.

    Raises RecordError when a record may stand in no table, or a net was trained on other data than are there now.
    """
    experiments = {
        net.run_folder: replace(each, nets=(net,))
        for each in load_results(folder, data_folder, partial=True).experiments
        for net in each.nets
        if net.run_folder is not None
    }
    listed = read_json(folder / "experiments.json").get("trainings")
    if listed is None:
        raise RecordError(f"{folder}/experiments.json is of an older version; run snakemake to make it anew")
    nets = [relocate(folder, each) for each in listed]
    trained = [each for each in nets if (each / "record.json").exists()]
    datasets: dict[str, PackedDataset] = {}
    for run_folder in trained:
        record = read_json(run_folder / "record.json")
        name, digest = record["dataset"]["name"], record["dataset"]["digest"]
        dataset = datasets.setdefault(name, open_packed(data_folder / name))
        if dataset.digest != digest:
            raise RecordError(f"{run_folder} was trained on other data than {dataset.folder} holds now; train it again")
        write_inputs(run_folder, dataset)
        experiment = experiments.get(run_folder) or unevaluated(run_folder, record, data_folder)
        write_text(run_folder / CARD, render_card(run_folder, experiment))
        draw_net(experiment.nets[0], dataset)
    output = folder / "model_cards.json"
    write_json(output, [str(run_folder / CARD) for run_folder in trained])
    return output, [each for each in nets if each not in trained]


def unevaluated(run_folder: Path, record: dict[str, Any], data_folder: Path) -> ExperimentResults:
    """A net that was only trained: to be fine-tuned, or to try a learning rate."""
    net = TrainedNet(record["seed"], record, {}, run_folder, data_folder, run_folder)
    data = record["dataset"]
    return ExperimentResults(record["variant"], data["name"], data["kind"], (), (), (net,))


def render_card(run_folder: Path, experiment: ExperimentResults) -> str:
    """The card of the experiment's one net in markdown, with the front matter of model hubs."""
    (net,) = experiment.nets
    environment = Environment(  # noqa: S701 (markdown)
        loader=PackageLoader("alexnet2012.reporting", "."), undefined=StrictUndefined, trim_blocks=True
    )
    run = read_run(run_folder / "config.yaml")
    return environment.get_template("model_card.md.jinja").render(
        run=run,
        of_imagenet=(run.dataset.source or run.dataset).kind in KINDS_IN_ARCHIVES,
        record=net.training,
        learned=net.learned,
        errors=write_block(Table(["split", "crops", "top-1 error", "top-5 error", "images"], list_errors(net))),
        origin=list_origin([experiment]),
        folder=run_folder,
    )


def list_errors(net: TrainedNet) -> list[list[str]]:
    """Of each evaluated split, with Wilson's interval over images; of a net that was only trained, what it measured."""
    rows = [
        [
            split,
            CROP_WORDS[crops],
            *(error_cell(estimate_error([net.wrong(split, crops, k)])) for k in (1, 5)),
            f"{net.predictions[split]['images']:,}",
        ]
        for split, crops in product(net.predictions, CROPS)
    ]
    final = net.training["final"]
    if rows or final is None:
        return rows
    counts = net.training["dataset"]["counts"]
    errors = (percent(final[f"val_top{k}_error"]) for k in (1, 5))
    return [["val", CROP_WORDS["centre"], *errors, f"{counts['val']:,}"]]
