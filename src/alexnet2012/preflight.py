"""Steps of the workflow before its first job: choosing the shown experiments, checking images, writing settings files.

No rule writes the settings (config.yaml). As an input of trainings, another `runtime:` in it would train finished nets
again; as an `ancient` input, it would hide from Snakemake what the jobs before it lack; as an output of trainings, it
would be removed when they start.
"""

import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from alexnet2012.config.datasets import KINDS_IN_ARCHIVES, DatasetConfig
from alexnet2012.config.experiments import CalibrationConfig, Config
from alexnet2012.config.plan import Line, Plan
from alexnet2012.config.schema import RunConfig
from alexnet2012.data.sources.find import check_source, refuse_place_of_packed
from alexnet2012.errors import ConfigError, DataError
from alexnet2012.files import read_json, write_text
from alexnet2012.fingerprint import fingerprint


def choose_shown(plan: Plan, targets: Collection[str]) -> Plan:
    """The part of a plan that tables and figures show: the experiments of the default target and of `targets`, and
    finished experiments of other targets.
    """
    return plan.keep(lambda line: line.section in ("experiments", *targets) or is_finished(line))


def is_finished(line: Line) -> bool:
    """Whether all weights and records of an experiment exist, and the current code trained its nets."""
    predicted = [folder / f"{split}.json" for folder in line.predictions for split in line.members[0].splits]
    trained = {run.folder / "record.json": fingerprint(run.training_stage) for run in line.members}
    weights = [run.folder / "model.safetensors" for run in line.members]  # committed records come without weights
    return all(path.exists() for path in [*trained, *weights, *predicted]) and all(
        read_json(path)["identity"]["code"] == code for path, code in trained.items()
    )


def begin(plan: Plan, source: str, data_folder: Path, trainings: Iterable[RunConfig]) -> None:
    """Check the images, then write <data>/configs/<dataset>.json, and config.yaml into the folder of each training.

    Raises DataError if images that `plan` needs are missing, or archives differ from their edition.
    """
    config = plan.config
    refuse_missing(list_missing(config, source, data_folder, plan.datasets))
    for name, dataset in config.datasets.items():
        write_text(settings_file(name, data_folder), dataset.model_dump_json())
    for run in trainings:
        write_text(run.folder / "config.yaml", yaml.safe_dump(run.model_dump(), sort_keys=False))
    for name in list_archived(config, data_folder, plan.datasets):
        command = ["alexnet2012", "prepare", name, f"@{settings_file(name, data_folder)}", "--check"]
        if subprocess.run(command, check=False).returncode:
            raise DataError(f"the archives of {name} are not as expected (see above), so nothing was run")


def list_packed_from(dataset: DatasetConfig, data_folder: Path) -> list[str]:
    """Files whose change makes the workflow pack a dataset again: the manifest of the dataset that it rotates, and its
    list of classes. A list that does not exist is left out here; `list_missing` reports it.
    """
    manifests = [str(data_folder / dataset.of / "manifest.json")] if dataset.of else []
    lists = [dataset.class_list] if dataset.class_list and Path(dataset.class_list).exists() else []
    return [*manifests, *lists]


def require_calibration(config: Config, source: str) -> CalibrationConfig:
    """The section `calibration` of a configuration; raises ConfigError if there is none."""
    if config.calibration is None:
        raise ConfigError(
            f"{source} has no calibration section; write `calibration: {{dataset: NAME}}` with an ilsvrc2012 dataset"
        )
    return config.calibration


def refuse_missing_folders(plan: Plan, source: str, data_folder: Path) -> None:
    """Raise DataError, as `begin` does, if a folder of class folders is missing that `plan` packs images from.

    In dry runs too, which plan archives before they are there: the name of an own folder is more likely mistyped.
    """
    config = plan.config
    folders = [name for name in plan.datasets if config.datasets[name].kind == "imagefolder"]
    refuse_missing(list_missing(config, source, data_folder, folders))


def refuse_missing(missing: list[str]) -> None:
    """Raise DataError if there are sentences of `list_missing`."""
    if missing:
        raise DataError("\n".join(["images are missing, so nothing was run:", *missing]))


def list_missing(config: Config, source: str, data_folder: Path, names: Iterable[str]) -> list[str]:
    """A sentence for each missing file or folder that is needed to pack the datasets `names`; datasets that are packed
    with the same settings need none. Opens no image file.
    """
    return [
        f"{source}: datasets.{name}: {sentence}"
        for name in names
        if not is_packed(name, data_folder) or is_other(config.datasets[name], settings_file(name, data_folder))
        for sentence in check_source(config.datasets[name])
    ]


def is_other(dataset: DatasetConfig, settings: Path) -> bool:
    """Whether the file `settings`, written by the last run, describes other images, so that packing will replace them.

    Checked first because Snakemake removes the manifest if a preparation fails: a configuration that reuses the name of
    another's dataset with a missing folder must not destroy the packed images.
    """
    if not settings.exists():
        return False
    try:
        return DatasetConfig.model_validate_json(settings.read_text(encoding="utf-8")).identity != dataset.identity
    except ValidationError:  # written by an older version
        return True


def refuse_places_of_packed(config: Config, source: str, data_folder: Path) -> None:
    """Raise ConfigError if a dataset's source images lie in a folder that a dataset is packed into."""
    for name, dataset in config.datasets.items():
        for other in config.datasets:
            refuse_place_of_packed(f"{source}: datasets.{name}", dataset, data_folder / other)


def list_archived(config: Config, data_folder: Path, names: Iterable[str]) -> list[str]:
    """The datasets of `names` that are not packed yet and come in archives; these are checked before any job."""
    unpacked = [name for name in names if not is_packed(name, data_folder)]
    return [name for name in unpacked if config.datasets[name].kind in KINDS_IN_ARCHIVES]


def settings_file(dataset_name: str, data_folder: Path) -> Path:
    """The path of a dataset's settings: JSON on one line, read by `alexnet2012 prepare`."""
    return data_folder / "configs" / f"{dataset_name}.json"


def is_packed(name: str, data_folder: Path) -> bool:
    """Whether a dataset is packed in `data_folder`."""
    return (data_folder / name / "manifest.json").exists()
