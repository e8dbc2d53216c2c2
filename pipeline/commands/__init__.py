"""The command line, one file per group of commands; each leaves a typer app named `app` for `pipeline.__main__`."""

from dataclasses import dataclass
from functools import cached_property

import typer

from pipeline.home import Home
from pipeline.settings import Settings, load


@dataclass(frozen=True)
class Invocation:
    """What every command is called with: the deployment's home, and its settings once somebody asks."""

    home: Home

    @cached_property
    def settings(self) -> Settings:
        """The home's settings; raises SettingsError."""
        return load(self.home.path)


def invocation(context: typer.Context) -> Invocation:
    """The invocation that the command belongs to."""
    found = context.find_object(Invocation)
    if found is None:
        raise RuntimeError("a command runs outside of the faceline application")
    return found
