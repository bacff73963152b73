import errno
import json
import os
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import pytest

from alexnet2012 import cli
from alexnet2012.errors import DataError, Interrupted, RecordError
from alexnet2012.verbs.arguments import path, verb

ROOT = Path(__file__).parents[2]
VARIANTS = ["--variants", str(ROOT / "config/variants.yaml")]
# (name, parameters, multiply-adds) of figure 2; conv1's 11*11*3*96 weights and 96 biases are 34,944.
WEIGHT_LAYERS = [
    ("conv1", 34_944, 105_415_200),
    ("conv2", 307_456, 223_948_800),
    ("conv3", 885_120, 149_520_384),
    ("conv4", 663_936, 112_140_288),
    ("conv5", 442_624, 74_760_192),
    ("fc6", 37_752_832, 37_748_736),
    ("fc7", 16_781_312, 16_777_216),
    ("fc8", 4_097_000, 4_096_000),
]


def describe(capsys, *arguments: str) -> dict:
    assert cli.main(["describe", *arguments, "--json", *VARIANTS]) == 0
    return json.loads(capsys.readouterr().out)


def test_describe_prints_the_papers_net_as_json(capsys):
    table = describe(capsys, "cnn")
    assert list(table) == ["layers", "parameters", "multiply_adds"]
    assert (table["parameters"], table["multiply_adds"]) == (60_965_224, 724_406_816)
    assert [
        (layer["name"], layer["parameters"], layer["multiply_adds"])
        for layer in table["layers"]
        if layer["kind"] in ("conv", "fc")
    ] == WEIGHT_LAYERS


def test_an_unknown_variant_is_an_error_with_the_nearest_name(capsys):
    assert cli.main(["describe", "one-gpuu", *VARIANTS]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f'error: {VARIANTS[1]}: there is no variant "one-gpuu"; did you mean "one-gpu"?\n'


def test_help_lists_every_verb_once_in_one_of_two_groups(capsys):
    with pytest.raises(SystemExit):
        cli.parse(["--help"])
    ours, theirs = capsys.readouterr().out.partition("you run these:")[2].split("the workflow runs these:")
    listed = [{line.split()[0] for line in part.splitlines() if re.match(r"  \S", line)} for part in (ours, theirs)]
    assert listed == [{each.name for each in cli.VERBS if each.by_workflow == theirs} for theirs in (False, True)]
    assert {"describe", "plan", "classify", "ui"} <= listed[0] and "train" in listed[1]


def test_what_rules_call_is_what_the_workflow_runs():
    """Apart from `show`, which it calls last, for people."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    called = set(re.findall(r"alexnet2012 ([a-z-]+) \{", rules))
    assert called == {each.name for each in cli.VERBS if each.by_workflow}


@pytest.mark.parametrize("each", cli.VERBS, ids=lambda each: each.name)
def test_every_verb_has_an_example_that_it_takes(capsys, monkeypatch, each):
    with pytest.raises(SystemExit) as ended:
        cli.parse([each.name, "--help"])
    example = capsys.readouterr().out.splitlines()[-1].split()
    assert (ended.value.code, example[:2]) == (0, ["alexnet2012", each.name])
    monkeypatch.setattr(cli, "expand", lambda argument: [argument])  # as if a file of arguments were there
    assert cli.parse(example[1:]).run == each.run


def test_run_gives_its_words_to_snakemake_and_finds_the_projects_configurations(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(os, "execv", lambda program, command: called.append(command[1:]))
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").touch()
    start = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    cifar10 = str(ROOT / "config/cifar10.yaml")

    cli.main(["run", "-n", "claims", "--cores", "3", "--config", "name=", "--configfile", "config/cifar10.yaml"])
    cli.main(["run", "--configfile=config/cifar10.yaml", "--configfiles", "own.yaml"])
    cli.main(["run", "--workflow-profile", "profiles/slurm"])

    words = ["-n", "claims", "--cores", "3", "--config", "name=", "--configfile", cifar10]
    assert called == [
        [*start, "--cores", "all", *words],
        [*start, "--cores", "all", f"--configfile={cifar10}", "--configfiles", "own.yaml"],
        [*start, "--workflow-profile", str(ROOT / "profiles/slurm")],
    ]
    assert (Path(os.environ["PATH"].split(os.pathsep)[0]) / "alexnet2012").exists()


def test_a_file_of_the_working_directory_comes_before_the_projects(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["describe", "cnn", "--classes", "10", "--configfile", "config/config.yaml"]) == 0
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("experiments: 1\n", encoding="utf-8")
    assert cli.main(["describe", "cnn", "--configfile", "config/config.yaml"]) == 1
    assert capsys.readouterr().err.startswith("error: config/config.yaml: ")


@pytest.mark.parametrize(("commit", "words"), [("0" * 40, f"commit {'0' * 40}\n"), (None, "commit unknown\n")])
def test_the_version_is_printed_with_the_commit(capsys, monkeypatch, commit, words):
    def read_commit():
        if commit is None:
            raise RecordError("no git")
        return commit, False

    monkeypatch.setattr(cli, "read_commit", read_commit)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"alexnet2012 {version('alexnet2012')}, {words}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "cnn", "--classes", "-3"], "-3"),
        (["predict", "run", "out", "--split", "train"], "'train'"),
        (["plan", "--gpus", "1,-2"], "-2"),
        (["plan", "--gpus", "a,b"], "'a,b'"),
        (["plan", "--images-per-second", "nan"], "nan"),
        (["train", "run", "--tracking", "t", "--gpus", "-1"], "-1"),
        (["train", "run"], "--tracking"),
        (["ui", "--port", "99999"], "99999"),
        ([], "VERB"),
    ],
)
def test_a_wrong_call_ends_with_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def let_fail(monkeypatch):
    """Makes `fail FOLDER` a verb that raises, with another exit code for package errors."""

    def install(raised: Exception, failure: int = 1) -> None:
        def run_fail(options):
            raise raised

        monkeypatch.setattr(
            cli, "VERBS", [verb("fail", path("folder"), example="results/some", failure=failure)(run_fail)]
        )

    return install


@pytest.mark.parametrize(
    ("raised", "failure", "code", "printed"),
    [
        (Interrupted("stopped after epoch 3"), 1, 143, "stopped after epoch 3\n"),
        (DataError("no images"), 1, 1, "error: no images\n"),
        (DataError("no images"), 2, 2, "error: no images\n"),  # as of `compare`, whose 1 is an answer
        (KeyboardInterrupt(), 1, 130, "stopped\n"),
    ],
)
def test_a_verbs_end_becomes_the_exit_code(capsys, let_fail, raised, failure, code, printed):
    let_fail(raised, failure)
    assert cli.main(["fail", "results/some"]) == code
    assert capsys.readouterr().err == printed


def raised_on_top() -> RuntimeError:
    """As torch reports a disk that filled up while it wrote."""
    error = RuntimeError("unexpected pos 64 vs 0")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. What is finished is kept"),
        (PermissionError(errno.EACCES, "Permission denied", "results/x"), "results/x: Permission denied"),
        (raised_on_top(), "No space left on device"),
        (OSError("8960 requested and 4032 written"), "no space left on device"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/x']"), "temporary directory"),
        (BrokenProcessPool("terminated abruptly"), "a process of this job was killed"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(capsys, let_fail, raised, words):
    let_fail(raised)
    assert cli.main(["fail", "results/some"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and words in printed


@pytest.mark.parametrize("raised", [KeyError("a bug"), BrokenPipeError("of a worker"), FileNotFoundError(2, "a bug")])
def test_a_bug_is_not_hidden(let_fail, raised):
    """Nor is a broken pipe other than that of what is printed."""
    let_fail(raised)
    with pytest.raises(type(raised)) as caught:
        cli.main(["fail", "results/some"])
    assert caught.value is raised


@pytest.mark.parametrize(
    ("section", "words"), [("cifar10", "'cifar10'"), ('{"kind": "cifar10", "size": 32}', '"size"')]
)
def test_a_mistake_in_a_datasets_section_is_an_error(capsys, section, words):
    assert cli.main(["prepare", "photos", section]) == 1
    assert words in capsys.readouterr().err


def test_the_command_line_and_the_plan_import_no_heavy_library():
    """A no-op run of Snakemake must stay short: torch alone takes 2.7 s to import."""
    program = (
        "import sys, alexnet2012.cli, alexnet2012.config.plan, alexnet2012.fingerprint, alexnet2012.provenance\n"
        "heavy = {'torch', 'torchvision', 'mlflow', 'matplotlib', 'pandas', 'scipy', 'numpy'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert found.stdout == "[]\n"


def test_a_reader_that_has_seen_enough_is_no_error():
    """As in `alexnet2012 describe cnn | head -1`."""
    program = "import sys; from alexnet2012.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "describe", "cnn", *VARIANTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as printing:
        printing.stdout.close()
        assert (printing.stderr.read(), printing.wait()) == ("", 141)


def test_a_file_of_arguments_is_utf8_whatever_the_locale(tmp_path):
    given = tmp_path / "arguments"
    given.write_text("describe\n--configfile\nFotos-é.yaml\n", encoding="utf-8")
    program = "import sys; from alexnet2012.cli import parse; print(ascii(parse(sys.argv[1:]).arguments))"
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", program, f"@{given}", "cnn"]
    done = subprocess.run(command, env=os.environ | ascii_locale, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == ascii(["describe", "--configfile", "Fotos-é.yaml", "cnn"])


def test_a_user_whom_the_system_does_not_know_gets_a_name_and_a_home(monkeypatch, tmp_path):
    def unknown(uid: int):
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    for name in ("LOGNAME", "HOME"):  # set first, so that they are put back
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert cli.main(["describe", "cnn", *VARIANTS]) == 0
    assert (os.environ["LOGNAME"], os.environ["HOME"]) == (f"uid{os.getuid()}", str(tmp_path))
