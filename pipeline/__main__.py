"""The command `faceline`: the operator's door. Exit codes: 0 done, 1 something failed, 2 a mistake of the caller."""

import errno
import signal
import sys
from pathlib import Path
from typing import Annotated

# What follows takes most of a second to import, and Python would answer a Ctrl-C in its midst with a traceback.
_HEARD = signal.getsignal(signal.SIGINT)
if _HEARD is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import typer

from connectors import ServiceRefused, ServiceUnavailable
from models import ModelError
from pipeline.commands import (
    Invocation,
    bench,
    checks,
    demo,
    deployment,
    galleries,
    index,
    mapping,
    models,
    people,
    processes,
    topics,
    watch,
)
from pipeline.home import VARIABLE, Home, HomeError, default_home
from pipeline.operations import Refused, Unanswered
from pipeline.settings import SettingsError

if _HEARD is signal.default_int_handler:
    signal.signal(signal.SIGINT, _HEARD)

FAILED = 1
MISTAKEN = 2

# One line per file of commands, in the order in which `faceline --help` shows them.
APPS = (
    demo.app,
    deployment.app,
    processes.app,
    people.app,
    galleries.app,
    index.app,
    watch.app,
    topics.app,
    checks.app,
    models.app,
    mapping.app,
    bench.app,
)

app = typer.Typer(
    name="faceline",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Kafka-native video face identification, with galleries that can prove they forgot.",
    epilog="Example: faceline init, then faceline up",
)
for group in APPS:
    app.add_typer(group)


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(envvar=VARIABLE, help="Folder of the deployment: settings, data, keys, logs.", show_default=False),
    ] = None,
) -> None:
    """Remember the home for the command."""
    context.obj = Invocation(Home(default_home() if home is None else home))


def run(arguments: list[str]) -> int:
    """Run one command line; a mistake or a failure is one line on standard error, never a traceback."""
    try:
        code = app(arguments or ["--help"], prog_name="faceline", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return _told("ended", FAILED)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        return _told(f"{message}; see: faceline --help", MISTAKEN)
    except (SettingsError, HomeError, ServiceRefused, ModelError, Refused) as error:
        return _told(error, MISTAKEN)
    except (ServiceUnavailable, Unanswered) as error:
        return _told(error, FAILED)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return _told(f"{error.strerror}: make room, or choose another home with --home" if full else error, FAILED)
    return code if isinstance(code, int) else 0


def _told(what: object, code: int) -> int:
    sys.stderr.write(f"{what}\n")
    return code


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
