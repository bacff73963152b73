"""What the workflow settles before its first job: which experiments it shows, whether images are missing, settings.

No rule writes settings. As an input of trainings, a config.yaml that gets another `runtime:` would train finished nets
anew; as an `ancient` input, its rule would hide from Snakemake what the jobs behind it lack; an output of trainings is
removed when they start.
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
    what other targets have finished.
    """
    return plan.keep(lambda line: line.section in ("experiments", *targets) or is_finished(line))


def is_finished(line: Line) -> bool:
    """Whether all weights and records of an experiment exist, and its nets were trained by the current code."""
    predicted = [folder / f"{split}.json" for folder in line.predictions for split in line.members[0].splits]
    trained = {run.folder / "record.json": fingerprint(run.training_stage) for run in line.members}
    weights = [run.folder / "model.safetensors" for run in line.members]  # a committed record comes without them
    return all(path.exists() for path in [*trained, *weights, *predicted]) and all(
        read_json(path)["identity"]["code"] == code for path, code in trained.items()
    )


def begin(plan: Plan, source: str, data_folder: Path, trainings: Iterable[RunConfig]) -> None:
    """Write <data>/configs/<dataset>.json, and config.yaml into the folder of each of the `trainings` that are to run.

    Raises DataError if images that `plan` needs are missing, or archives are not as their edition has them.
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
            raise DataError(f"the archives of {name} are not as they should be, and nothing was run")


def list_packed_from(dataset: DatasetConfig, data_folder: Path) -> list[str]:
    """The files that a dataset is packed from again where they change: the manifest of what is rotated, the list of
    classes. A list that does not exist is left out here and told by `list_missing`.
    """
    manifests = [str(data_folder / dataset.of / "manifest.json")] if dataset.of else []
    lists = [dataset.class_list] if dataset.class_list and Path(dataset.class_list).exists() else []
    return [*manifests, *lists]


def require_calibration(config: Config, source: str) -> CalibrationConfig:
    """The section `calibration` of a configuration; raises ConfigError if it has none."""
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
        raise DataError("\n".join(["images are missing, and nothing was run:", *missing]))


def list_missing(config: Config, source: str, data_folder: Path, names: Iterable[str]) -> list[str]:
    """A sentence for each missing file or folder that a dataset of `names` needs, where it is to be packed, or again.

    Opens none of its files.
    """
    return [
        f"{source}: datasets.{name}: {sentence}"
        for name in names
        if not is_packed(name, data_folder) or is_other(config.datasets[name], settings_file(name, data_folder))
        for sentence in check_source(config.datasets[name])
    ]


def is_other(dataset: DatasetConfig, settings: Path) -> bool:
    """Whether `settings`, as a run wrote them last, are of other images: then those that are packed will be replaced.

    A configuration that gives the name of another one's dataset to a folder that does not exist must not cost that one
    its images: Snakemake removes the manifest of a preparation that fails.
    """
    if not settings.exists():
        return False
    try:
        return DatasetConfig.model_validate_json(settings.read_text(encoding="utf-8")).identity != dataset.identity
    except ValidationError:  # written by an older version
        return True


def refuse_places_of_packed(config: Config, source: str, data_folder: Path) -> None:
    """Raise ConfigError when a dataset's images lie in a folder that a dataset is packed into."""
    for name, dataset in config.datasets.items():
        for other in config.datasets:
            refuse_place_of_packed(f"{source}: datasets.{name}", dataset, data_folder / other)


def list_archived(config: Config, data_folder: Path, names: Iterable[str]) -> list[str]:
    """The datasets of `names` that are not prepared and come in archives, which are checked before packing starts."""
    unpacked = [name for name in names if not is_packed(name, data_folder)]
    return [name for name in unpacked if config.datasets[name].kind in KINDS_IN_ARCHIVES]


def settings_file(dataset_name: str, data_folder: Path) -> Path:
    """The file of a dataset's section, JSON on one line, as `alexnet2012 prepare` reads it."""
    return data_folder / "configs" / f"{dataset_name}.json"


def is_packed(name: str, data_folder: Path) -> bool:
    """Whether a dataset is packed in `data_folder`."""
    return (data_folder / name / "manifest.json").exists()
