"""How a command line is entered and left: the home, and every mistake or failure as one line with its exit code."""

import errno
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from connectors import ServiceRefused, ServiceUnavailable
from models import ModelError
from pipeline.commands import Invocation
from pipeline.home import VARIABLE, Home, HomeError, default_home
from pipeline.operations import Refused, Unanswered
from pipeline.receipts import Unproven
from pipeline.settings import SettingsError

FAILED = 1
MISTAKEN = 2


def door(apps: Iterable[typer.Typer]) -> typer.Typer:
    """The command `faceline` with the commands of `apps`, shown in their order."""
    app = typer.Typer(
        name="faceline",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help="Kafka-native video face identification, with galleries that can prove they forgot.",
        epilog="Example: faceline init, then faceline up",
    )
    app.callback()(_root)
    for each in apps:
        app.add_typer(each)
    return app


def entered(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command line; a mistake or a failure is one line on standard error, never a traceback."""
    try:
        code = app(list(arguments) or ["--help"], prog_name="faceline", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return _told("ended", FAILED)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        return _told(f"{message}; see: faceline --help", MISTAKEN)
    except (SettingsError, HomeError, ServiceRefused, ModelError, Refused) as error:
        return _told(error, MISTAKEN)
    except (ServiceUnavailable, Unanswered, Unproven) as error:
        return _told(error, FAILED)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return _told(f"{error.strerror}: make room, or choose another home with --home" if full else error, FAILED)
    return code if isinstance(code, int) else 0


def _root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(envvar=VARIABLE, help="Folder of the deployment: settings, data, keys, logs.", show_default=False),
    ] = None,
) -> None:
    """Remember the home for the command."""
    context.obj = Invocation(Home(default_home() if home is None else home))


def _told(what: object, code: int) -> int:
    sys.stderr.write(f"{what}\n")
    return code
