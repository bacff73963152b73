"""Configurations that cannot be run are refused before anything runs, by file and key, with what would mend them."""

import copy

import yaml
from workflow_copy import TINY


def assert_refused(project, *messages: str, **environment: str) -> None:
    done = project.snakemake("--cores", "2", **environment)

    assert done.returncode != 0
    for message in messages:
        assert message in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.root / "results").exists()
    assert not (project.root / "data").exists()


def test_all_mistakes_are_named_and_a_number_that_yaml_takes_for_text(fresh):
    values = copy.deepcopy(TINY)
    values["training"] |= {"batch_size": 0, "momentun": 0.9}
    text = yaml.safe_dump(values).replace("learning_rate: 0.02", "learning_rate: 1e-2")
    assert "1e-2" in text
    (fresh.root / "config" / "tiny.yaml").write_text(text, encoding="utf-8")

    assert_refused(
        fresh,
        "error: ",
        "config/tiny.yaml: training.learning_rate is '1e-2'",
        "config/tiny.yaml: training.batch_size is 0",
        'config/tiny.yaml: training: "momentun" is not a setting; did you mean "momentum"?',
    )


def test_sections_after_config_have_the_types_of_a_file_and_their_mistakes_their_place(fresh):
    done = fresh.snakemake("-n", "--config", "training={batch_size: 4, momentum: 4.5}")

    assert "error: config/tiny.yaml with --config training: training.momentum is 4.5" in done.stdout
    assert "batch_size" not in done.stdout


def test_a_key_written_twice_is_refused(fresh):
    """Snakemake's own reader keeps the last of them in silence."""
    path = fresh.root / "config/tiny.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, "name: other"]), encoding="utf-8")

    assert_refused(fresh, "error: ", f'config/tiny.yaml, line {len(lines) + 1}: "name" is written twice')


def test_images_that_are_missing_stop_a_run_before_its_first_job(fresh):
    values = copy.deepcopy(TINY)
    values["datasets"]["pictures"]["folder"] = "photos"
    fresh.configure(values)

    assert_refused(fresh, "nothing was run:\nconfig/tiny.yaml: datasets.pictures: the folder photos does not exist")


def test_a_dry_run_plans_archives_that_are_not_here_yet(fresh):
    values = copy.deepcopy(TINY)
    values["datasets"]["pictures"] |= {"kind": "cifar10", "folder": "archives", "size_px": 32}
    fresh.configure(values)

    done = fresh.snakemake("-n")

    assert done.returncode == 0, done.stdout
    assert "missing: config/tiny.yaml: datasets.pictures: archives does not exist" in done.stdout


def test_images_where_packed_ones_go_are_refused(fresh):
    """That folder is replaced, and images in it would be lost."""
    values = copy.deepcopy(TINY)
    values["datasets"]["others"] = {"kind": "imagefolder", "folder": "pictures"}
    values["datasets"]["pictures"]["folder"] = "data/others/originals"
    fresh.configure(values)

    assert_refused(fresh, "error: config/tiny.yaml: datasets.pictures: folder data/others/originals", "data/others is")


def test_without_a_commit_nothing_runs(fresh):
    fresh.copy_source()  # the repository's has a commit
    assert_refused(fresh, "error: the commit of the running code is unknown", ALEXNET2012_COMMIT="")
