"""`alexnet2012 <verb>`: the only thing that a rule calls. Each verb imports what it needs, not what others need."""

import argparse
import sys

from alexnet2012.errors import AlexNet2012Error, Interrupted
from alexnet2012.verbs.planning import add_planning_verbs
from alexnet2012.verbs.reading import add_reading_verbs
from alexnet2012.verbs.running import add_running_verbs


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; a mistake that the user can mend is a message on stderr and exit code 1 (of `compare`, whose 1 is
    an answer, 2); a signal 143.
    """
    options = parse(arguments)
    try:
        return options.run(options) or 0
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 143
    except AlexNet2012Error as error:
        print(f"error: {error}", file=sys.stderr)
        return options.failure


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="alexnet2012",
        description="Reproduce the NIPS 2012 ImageNet net, step by step. @FILE stands for arguments, one on each line.",
        fromfile_prefix_chars="@",
    )
    parser.set_defaults(failure=1)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    add_planning_verbs(verbs)
    add_running_verbs(verbs)
    add_reading_verbs(verbs)
    options = parser.parse_args(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    return options
