"""Commands for the key store: what it holds, a new root key, and the end of everything sealed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands import Invocation, invocation
from pipeline.home import HomeError

if TYPE_CHECKING:
    from connectors.key_provider import KeyProvider
    from connectors.key_rows import KeyRows

app = typer.Typer(
    name="keys",
    help="The key store, which everything is sealed with: status, rotate, destroy. (The API's: faceline key.)",
    no_args_is_help=True,
)
console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the root key; `destroyed` is when it was, in ISO 8601, None while it opens what is under it.

    `at_provider` says that the provider can still use it, which after its destruction it should not.
    """

    version: int
    keys: int
    destroyed: str | None
    at_provider: bool

    @property
    def state(self) -> str:
        if self.destroyed is None:
            return "alive" if self.at_provider else "lost: the provider has it no more"
        return f"destroyed {self.destroyed}" + (", left at the provider: rotate again" if self.at_provider else "")


@dataclass(frozen=True, slots=True)
class Status:
    """What `faceline keys status` tells."""

    store: str
    provider: str
    erasure: str
    alive: int
    destroyed: int
    versions: list[Version]


@app.command(epilog="Example: faceline keys status --json")
def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show who keeps the root key, what its destruction is worth, its versions, and how many keys are under each."""
    with _opened(invocation(context)) as (rows, provider):
        found = _observed(rows, provider)
    if json:
        typer.echo(msgspec.json.encode(asdict(found)).decode())
        return
    console.print(f"store      {found.store}\nroot key   {found.provider}\nerasure    {found.erasure}", soft_wrap=True)
    console.print(f"keys       {found.alive} alive, {found.destroyed} destroyed")
    table = Table("version", "keys", "state")
    for each in found.versions:
        table.add_row(str(each.version), str(each.keys), each.state)
    console.print(table)


def _observed(rows: "KeyRows", provider: "KeyProvider") -> Status:
    under = rows.under_roots()
    kept = provider.versions()
    versions = [
        Version(
            root.version,
            under.get(root.version, 0),
            None if root.destroyed is None else f"{datetime.fromtimestamp(root.destroyed, UTC):%Y-%m-%dT%H:%M:%SZ}",
            root.version in kept,
        )
        for root in rows.roots()
    ]
    return Status(rows.name, provider.name, provider.erasure, *rows.count(), versions)


@app.command(epilog="Example: faceline keys rotate")
def rotate(context: typer.Context) -> None:
    """Put every key under a new root key and destroy the old one: no older copy of the key store opens afterwards.

    The deployment may run meanwhile. Whatever interrupts this command, run it again.
    """
    from connectors import root_keys

    call = invocation(context)
    with _opened(call) as (rows, provider):
        done = root_keys.rotate(rows, provider, call.settings.now().timestamp())
    gone = f"destroyed: {', '.join(map(str, done.destroyed)) or 'none'} ({provider.erasure})"
    told = f"version {done.version} of the root key: {done.rewrapped} keys put under it; versions {gone}"
    console.print(told, soft_wrap=True)


@app.command(epilog="Example: faceline keys destroy --yes")
def destroy(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy the root key and every key under it: nothing that was ever sealed can be read again, by anybody."""
    from connectors import root_keys

    call = invocation(context)
    with _opened(call) as (rows, provider):
        if not yes:
            question = f"Destroy the root key ({provider.name}) and {rows.count().alive} keys ({rows.name})?"
            typer.confirm(question, abort=True)
        root_keys.destroy(rows, provider, call.settings.now().timestamp())
        console.print(
            f"destroyed ({provider.erasure}): every template, name and image that was sealed is unreadable, wherever a"
            f" copy of it is; processes that run forget their keys within {root_keys.LEASES:.0f} s. Begin anew after:"
            " faceline purge",
            soft_wrap=True,
        )


@contextmanager
def _opened(call: Invocation) -> "Iterator[tuple[KeyRows, KeyProvider]]":
    from pipeline.wiring.keys import key_provider, key_rows  # here, because --help needs neither

    if not call.home.exists():
        raise HomeError(f"{call.home.path} holds no deployment; begin with: faceline init")
    provider = key_provider(call.settings, call.home)
    with closing(key_rows(call.settings, call.home)) as rows:
        yield rows, provider
