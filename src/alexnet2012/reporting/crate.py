"""A results folder as a Workflow Run RO-Crate: what was run, on which data, and every file with its digest."""

import mimetypes
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet2012.errors import ConfigError, RecordError
from alexnet2012.files import file_digest, read_json
from alexnet2012.project import PROJECT
from alexnet2012.reporting.results import relocate

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

METADATA = "ro-crate-metadata.json"
SNAKEFILE = "workflow/Snakefile"
PROFILES = [f"https://w3id.org/ro/wfrun/{name}/0.5" for name in ("process", "workflow")]
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # defines sha256, among others
LICENCE = "https://spdx.org/licenses/BSD-3-Clause"
LEFT_OUT = ("state", "tracking.json", "published.txt", METADATA)  # of this machine, or of a training that goes on


def write_crate(folder: Path) -> Path:
    """Make a results folder a Workflow Run RO-Crate: copy the workflow into it, and write ro-crate-metadata.json.

    Returns that file's path. Raises RecordError unless the nets of the last run are finished and the tables rendered,
    ConfigError if the extra `crate` is not installed.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise ConfigError("rocrate is not installed, which this needs: pip install -e '.[crate]'") from None
    records = read_trainings(folder)
    shutil.copytree(PROJECT / "workflow", folder / "workflow", dirs_exist_ok=True)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    describe_run(crate, folder, records)
    crate.metadata.write(folder)
    return folder / METADATA


def read_trainings(folder: Path) -> list[dict[str, Any]]:
    """The records of all trainings of the last run; raises RecordError if any, or the tables, are missing."""
    paths = [relocate(folder, each) / "record.json" for each in read_json(folder / "experiments.json")["trainings"]]
    missing = [str(path) for path in [*paths, folder / "tables" / "claims.json"] if not path.exists()]
    if missing:
        raise RecordError(f"the run in {folder} is not finished, for it lacks {', '.join(missing)}; run snakemake")
    return [read_json(path) for path in paths]


def describe_run(crate: "ROCrate", folder: Path, records: list[dict[str, Any]]) -> None:
    """Add the files of `folder` to the crate, and the run that made them, from the records of its trainings."""
    name = read_json(folder / "experiments.json")["name"]
    origins = [record["provenance"] for record in records]
    commits = sorted({origin["commit"] for origin in origins})
    add_entity(crate, LICENCE, "CreativeWork", name="BSD-3-Clause")
    software = [
        add_entity(crate, f"#{key}-{version}", "SoftwareApplication", name=key, softwareVersion=version)
        for key in ("python", "torch", "torchvision")
        for version in sorted({origin[key] for origin in origins})
    ]
    data = [
        add_entity(crate, f"#data-{digest}", "Dataset", name=dataset, identifier=digest)
        for dataset, digest in sorted({(each["dataset"]["name"], each["dataset"]["digest"]) for each in records})
    ]
    described = {path: properties_of(folder / path) for path in list_archived_files(folder)}
    workflow = crate.add_workflow(
        folder / SNAKEFILE,
        SNAKEFILE,
        properties={**described.pop(SNAKEFILE), "name": "alexnet2012", "license": {"@id": LICENCE}},
        main=True,
        lang="snakemake",
    )
    workflow["softwareRequirements"] = software
    files = {path: crate.add_file(folder / path, path, properties=each) for path, each in described.items()}
    settings = [file for path, file in files.items() if Path(path).name in ("config.yaml", "experiments.json")]
    made = [file for path, file in files.items() if file not in settings and not path.startswith("workflow/")]
    dates = sorted(origin["date"] for origin in origins)
    about = {
        "name": f"alexnet2012: {name}",
        "description": "The paper of Krizhevsky, Sutskever and Hinton (NIPS 2012), reproduced: nets, errors, tables.",
        "datePublished": dates[-1],
        "license": {"@id": LICENCE},
        "conformsTo": [add_entity(crate, each, "CreativeWork") for each in PROFILES],
    }
    for key, value in about.items():
        crate.root_dataset[key] = value
    hardware = "; ".join(sorted({origin["hardware"] for origin in origins}))
    properties = {
        "name": f"Run of {name}",
        "description": f"Nets trained by commit {', '.join(commits)} on {hardware}",
        "startTime": dates[0],
    }
    action = crate.add_action(workflow, "#run", object=[*settings, *data], result=made, properties=properties)
    crate.root_dataset["mentions"] = action


def add_entity(crate: "ROCrate", identifier: str, kind: str, /, **properties: Any) -> Any:
    from rocrate.model import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def list_archived_files(folder: Path) -> list[str]:
    """The files of the crate, as sorted paths relative to `folder`."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in paths if not any(part in LEFT_OUT or part.startswith(".") for part in path.parts)]
    return sorted(path.as_posix() for path in kept)


def properties_of(path: Path) -> dict[str, Any]:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return {"sha256": file_digest(path), "contentSize": str(path.stat().st_size), "encodingFormat": kind}
