"""Configurations that cannot be run are refused before anything runs, by file and key, with what would mend them."""

import copy

import pytest
import yaml
from workflow_copy import TINY


def assert_refused(project, *messages: str, **environment: str) -> None:
    done = project.snakemake("--cores", "2", **environment)

    assert done.returncode != 0
    for message in messages:
        assert message in done.stdout, done.stdout
    assert "error: " in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.root / "results").exists()
    assert not (project.root / "data").exists()


def test_a_number_that_yaml_takes_for_text(fresh):
    text = yaml.safe_dump(TINY).replace("learning_rate: 0.02", "learning_rate: 1e-2")
    assert "1e-2" in text
    (fresh.root / "config" / "tiny.yaml").write_text(text, encoding="utf-8")

    assert_refused(
        fresh,
        "config/tiny.yaml: training.learning_rate is '1e-2': input should be a valid number; "
        "it was read as text: write 0.01",
    )


def test_sections_after_config_have_the_types_of_a_file_and_their_mistakes_their_place(fresh):
    done = fresh.snakemake("-n", "--config", "training={batch_size: 4.5}")
    assert "error: config/tiny.yaml with --config training: training.batch_size is 4.5: " in done.stdout

    done = fresh.snakemake("-n", "--config", "training={batch_size: 4}")
    assert done.returncode == 0, done.stdout


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
    """And a dry run, with the same words."""
    values = copy.deepcopy(TINY)
    values["datasets"]["pictures"]["folder"] = "photos"
    fresh.configure(values)
    sentence = "config/tiny.yaml: datasets.pictures: the folder photos does not exist"

    planned, run = fresh.snakemake("-n"), fresh.snakemake("--cores", "2")

    for done in (planned, run):
        assert done.returncode != 0 and f"nothing was run:\n{sentence}" in done.stdout
    assert not (fresh.root / "data").exists() and not (fresh.root / "results").exists()


def test_a_dry_run_plans_archives_that_are_not_here_yet(fresh):
    values = copy.deepcopy(TINY)
    values["datasets"]["pictures"] |= {"kind": "cifar10", "folder": "archives", "size_px": 32}
    fresh.configure(values)

    planned = fresh.snakemake("-n")

    assert planned.returncode == 0, planned.stdout
    assert "missing: config/tiny.yaml: datasets.pictures: archives does not exist" in planned.stdout


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
