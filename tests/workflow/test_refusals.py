"""Configurations that cannot be run are refused before anything runs, by file and key, with what would mend them."""

import copy
from pathlib import Path

import pytest
import yaml
from workflow_copy import TINY

from alexnet2012.config.plan import make_plan
from alexnet2012.errors import ConfigError

CONV = {"kernels": 8, "kernel_px": 3, "stride": 1, "pad": 1}


def put(*keys, value):
    """A change of the tiny configuration: `value` at `keys`."""

    def change(values: dict) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return change


BROKEN = {
    "a setting's name misspelt": (
        put("training", "schedule", value={"kind": "fixed", "epohcs": [8, 2]}),
        'config/tiny.yaml: training.schedule: "epohcs" is not a setting; did you mean "epochs"?',
    ),
    "a section's name misspelt": (
        put("trainng", value={}),
        'config/tiny.yaml: "trainng" is not a setting; did you mean "training"?',
    ),
    "text for a number": (
        put("training", "batch_size", value="128"),
        "config/tiny.yaml: training.batch_size is '128': input should be a valid integer; "
        "it was read as text: write 128",
    ),
    "a kernel larger than the crop": (
        put("net", "conv1", value={**CONV, "kernel_px": 13, "pad": 0}),
        "config/tiny.yaml: variant cnn on pictures: net.conv1: a 13-pixel kernel does not fit its input of 12 pixels "
        "with pad 0; make the kernel",
    ),
    "a crop larger than the image": (
        put("net", "crop_px", value=17),
        "config/tiny.yaml: variant cnn on pictures: net.crop_px is 17, larger than the dataset's size_px of 16; "
        "make it at most 16",
    ),
    "an unknown variant": (
        put("experiments", 0, "variant", value="cn"),
        'config/tiny.yaml: experiments[0].variant: there is no variant "cn"; did you mean "cnn"?',
    ),
    "an unknown ensemble": (
        put("experiments", 2, "ensemble", value="5-cnn"),
        'config/tiny.yaml: experiments[2].ensemble: there is no ensemble "5-cnn"; did you mean "5-cnns"?',
    ),
    "an unknown dataset": (
        put("experiments", 0, "dataset", value="picture"),
        'config/tiny.yaml: experiments[0].dataset: there is no dataset "picture"; did you mean "pictures"?',
    ),
    "an ensemble's member that nobody trains": (
        put("experiments", 0, "seeds", value=[0]),
        "config/tiny.yaml: experiments[2]: ensemble 5-cnns averages cnn seed 1 on pictures, "
        "which no experiment trains; add seed 1 to an experiment of cnn",
    ),
    "a reserved name": (
        put("name", value="reference"),
        "config/tiny.yaml: name: results/reference is not a configuration's folder; choose another name",
    ),
    "a seed twice": (
        put("experiments", 0, "seeds", value=[0, 1, 1]),
        "config/tiny.yaml: experiments[0].seeds: 1 is written twice; keep one of them",
    ),
    "an odd number of kernels for two towers": (
        put("net", "conv2", value={**CONV, "kernels": 7}),
        "config/tiny.yaml: variant cnn on pictures: net.conv2: 7 kernels cannot be split over 2 towers; "
        "make the number even",
    ),
}


def assert_refused(project, *messages: str, **environment: str) -> None:
    done = project.snakemake("--cores", "2", **environment)

    assert done.returncode != 0
    for message in messages:
        assert message in done.stdout, done.stdout
    assert "error: " in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.root / "results").exists()
    assert not (project.root / "data").exists()


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_configuration_that_cannot_be_run(fresh_template, monkeypatch, mistake):
    """As the rules plan it before anything else; what follows goes through Snakemake."""
    change, message = BROKEN[mistake]
    values = copy.deepcopy(TINY)
    change(values)
    monkeypatch.chdir(fresh_template.root)

    with pytest.raises(ConfigError) as refusal:
        make_plan(values, "config/tiny.yaml", Path("config/variants.yaml"))

    assert message in str(refusal.value)


def test_a_number_that_yaml_takes_for_text(fresh):
    text = yaml.safe_dump(TINY).replace("learning_rate: 0.02", "learning_rate: 1e-2")
    assert "1e-2" in text
    (fresh.root / "config" / "tiny.yaml").write_text(text, encoding="utf-8")

    assert_refused(
        fresh,
        "config/tiny.yaml: training.learning_rate is '1e-2': input should be a valid number; "
        "it was read as text: write 0.01",
    )


def test_a_misspelt_setting_in_a_variants_delta_names_the_variant_and_its_file(fresh):
    path = fresh.root / "config" / "variants.yaml"
    variants = yaml.safe_load(path.read_text(encoding="utf-8"))
    variants["variants"]["one-gpu"]["net"]["tower"] = 1
    path.write_text(yaml.safe_dump(variants), encoding="utf-8")

    assert_refused(
        fresh, 'config/variants.yaml: variants.one-gpu: net: "tower" is not a setting; did you mean "towers"?'
    )


def test_two_mistakes_are_both_named(fresh):
    values = copy.deepcopy(TINY)
    values["training"]["batch_size"] = 0
    values["training"]["momentun"] = 0.9
    fresh.configure(values)

    done = fresh.snakemake("-n")

    assert done.returncode != 0
    assert "config/tiny.yaml: training.batch_size is 0: input should be greater than or equal to 1" in done.stdout
    assert 'config/tiny.yaml: training: "momentun" is not a setting; did you mean "momentum"?' in done.stdout


def test_a_key_written_twice_is_refused(fresh):
    """Snakemake's own reader keeps the last of them in silence."""
    path = fresh.root / "config/tiny.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, "name: other"]), encoding="utf-8")
    assert_refused(fresh, f'config/tiny.yaml, line {len(lines) + 1}: "name" is written twice')


def test_images_that_are_missing_stop_a_run_before_its_first_job(fresh):
    """A dry run plans all the same, and says so."""
    values = copy.deepcopy(TINY)
    values["datasets"]["pictures"]["folder"] = "photos"
    fresh.configure(values)
    sentence = "config/tiny.yaml: datasets.pictures: the folder photos does not exist"

    planned, run = fresh.snakemake("-n"), fresh.snakemake("--cores", "2")

    assert planned.returncode == 0 and f"missing: {sentence}" in planned.stdout
    assert run.returncode != 0 and f"nothing was run:\n{sentence}" in run.stdout
    assert not (fresh.root / "data").exists() and not (fresh.root / "results").exists()


@pytest.mark.parametrize("folder", ["data/pictures", "data/others/originals"])
def test_images_where_packed_ones_go_are_refused(fresh, folder):
    """That folder is replaced, and images in it would be lost."""
    values = copy.deepcopy(TINY)
    values["datasets"]["others"] = {"kind": "imagefolder", "folder": "pictures"}
    values["datasets"]["pictures"]["folder"] = folder
    fresh.configure(values)

    taken = "/".join(folder.split("/")[:2])
    assert_refused(
        fresh,
        f"config/tiny.yaml: datasets.pictures: folder {folder} is where packed images go, and {taken} is replaced",
    )


def test_without_a_commit_nothing_runs(fresh):
    assert_refused(
        fresh,
        "the commit of the running code is unknown",
        ALEXNET2012_COMMIT="",
    )
