"""The command line, `alexnet2012 VERB`. Rules call nothing else. Each verb imports heavy libraries itself."""

import argparse
import errno
import io
import os
import pwd
import re
import select
import sys
import textwrap
from concurrent.futures import BrokenExecutor
from importlib.metadata import version
from pathlib import Path

from alexnet2012.errors import AlexNet2012Error, Interrupted, RecordError
from alexnet2012.provenance import read_commit
from alexnet2012.verbs import for_evaluation, for_planning, for_results, for_training
from alexnet2012.verbs.arguments import Verb

# What a disk answers when it is full or must not be written to.
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
NO_TEMPORARY = "No usable temporary directory"
NUMPY_FULL = re.compile(r"\d+ requested and \d+ written")  # an error without a number
# In the order of the help.
VERBS = [
    each
    for module in (for_planning, for_training, for_evaluation, for_results)
    for each in vars(module).values()
    if isinstance(each, Verb)
]


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit code: 1 for an AlexNet2012Error, whose message goes to stderr (`compare` uses 2,
    because 1 is one of its answers), 130 after Ctrl-C, 143 after another signal, 141 if the reader of stdout has closed
    it, as `head` does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 may lack § and ×
    name_user()
    options = parse(arguments)
    try:
        code: int = options.run(options) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not is_reader_gone():  # another pipe broke
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter still flushes stdout at exit
        return 141
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 143
    except AlexNet2012Error as error:
        print(f"error: {error}", file=sys.stderr)
        return int(options.failure)
    except Exception as error:
        if (reason := find_outer_reason(error)) is None:
            raise
        print(f"error: {reason}. What is finished is kept; mend this and run the same command again", file=sys.stderr)
        return int(options.failure)


def find_outer_reason(error: BaseException | None) -> str | None:
    """What the machine refused, such as space or permission to write, if `error` came of that; else None.

    Libraries raise errors of their own on top of it, such as torch's of an unexpected position in a file.
    """
    while error is not None:
        if isinstance(error, BrokenExecutor):
            return "a process of this job was killed, perhaps because memory ran out"
        if isinstance(error, OSError) and NUMPY_FULL.fullmatch(str(error)):
            return f"no space left on device ({error})"
        if isinstance(error, OSError) and (error.errno in REFUSED or NO_TEMPORARY in str(error)):
            return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        error = error.__cause__ or error.__context__
    return None


def name_user() -> None:
    """Give a user whom the system does not know, as in some containers, the name and home that MLflow and Snakemake
    ask for."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("LOGNAME", f"uid{os.getuid()}")
        os.environ.setdefault("HOME", str(Path.cwd()))


def is_reader_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="alexnet2012",
        description="Reproduce the NIPS 2012 ImageNet net, step by step. @FILE stands for arguments, one on each line.",
        epilog=list_verbs(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=PrintVersion, nargs=0, help="print version and commit")
    verbs = parser.add_subparsers(required=True, metavar="VERB", help="see below; VERB --help has its arguments")
    for each in VERBS:
        each.add_to(verbs)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        expanded = [each for argument in given for each in expand(argument)]
    except OSError as error:
        parser.error(f"{error.filename} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        parser.error(f"a file of arguments is not text in UTF-8 ({error.reason} at byte {error.start})")
    if expanded[:1] == ["run"] and expanded[1:] not in (["-h"], ["--help"]):
        expanded.insert(1, "--")  # what follows is Snakemake's
    options = parser.parse_args(expanded)
    options.arguments = expanded
    return options


def list_verbs() -> str:
    """The verbs for people and those for the workflow, each with its help."""
    width = max(len(each.name) for each in VERBS) + 4
    lines = []
    for title, by_workflow in (("you run these:", False), ("the workflow runs these:", True)):
        lines += [title] + [
            textwrap.fill(each.help, 100, initial_indent=f"  {each.name}".ljust(width), subsequent_indent=" " * width)
            for each in VERBS
            if each.by_workflow == by_workflow
        ]
        lines.append("")
    return "\n".join(lines)


class PrintVersion(argparse.Action):
    """Print the version and the commit, and exit: a call of git, which no other verb waits for."""

    def __call__(self, *_: object) -> None:
        try:
            commit, dirty = read_commit()
        except RecordError:
            commit, dirty = "unknown", False
        print(f"alexnet2012 {version('alexnet2012')}, commit {commit}{', with changes' if dirty else ''}")
        sys.exit(0)


def expand(argument: str) -> list[str]:
    """The lines of FILE for @FILE, read as UTF-8; argparse itself would use the locale's encoding."""
    if not argument.startswith("@"):
        return [argument]
    return Path(argument[1:]).read_text(encoding="utf-8").splitlines()
