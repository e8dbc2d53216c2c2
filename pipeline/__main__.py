"""The command `faceline`: the operator's door. Exit codes: 0 done, 1 something failed, 2 a mistake of the caller."""

import signal
import sys

# What follows takes most of a second to import, and Python would answer a Ctrl-C in its midst with a traceback.
_HEARD = signal.getsignal(signal.SIGINT)
if _HEARD is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from connectors import core_dumps
from pipeline.commands import (
    audit,
    bench,
    checks,
    demo,
    deployment,
    erasures,
    galleries,
    index,
    keys,
    keystore,
    mapping,
    models,
    people,
    processes,
    receipts,
    topics,
    watch,
)
from pipeline.commands.door import door, entered

if _HEARD is signal.default_int_handler:
    signal.signal(signal.SIGINT, _HEARD)

# One line per file of commands, in the order in which `faceline --help` shows them.
APPS = (
    demo.app,
    deployment.app,
    processes.app,
    people.app,
    galleries.app,
    index.app,
    keys.app,
    keystore.app,
    erasures.app,
    receipts.app,
    watch.app,
    topics.app,
    checks.app,
    audit.app,
    models.app,
    mapping.app,
    bench.app,
)

app = door(APPS)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code, with whatever went wrong as one line on standard error."""
    return entered(app, arguments)


def main() -> None:
    """Entry point of the console script."""
    core_dumps.disable()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
