"""Commands for receipts of erasures: check one anywhere, and the chain that they form."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import receipts
from pipeline.commands import Invocation, invocation
from pipeline.commands.asking import without_chatter
from pipeline.home import HomeError
from pipeline.operations import Refused
from pipeline.records import AuditEntry
from pipeline.topology import AUDIT

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

app = typer.Typer(name="receipt", help="Receipts of erasures: verify, key, chain.", no_args_is_help=True)

PublicKey = Annotated[
    Path,
    typer.Option("--key", help="What `faceline receipt key` printed.", exists=True, dir_okay=False, metavar="PUB"),
]
Chains = Mapping[int, Sequence[AuditEntry]]


@app.command(epilog="Example: faceline receipt verify receipt.json --key receipts-public.pem")
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.", exists=True, dir_okay=False, metavar="FILE")],
    key: PublicKey,
) -> None:
    """Check a receipt, every byte of it, and show what it says. Needs nothing but the two files. Exit 1 if it fails."""
    entries = _held(file, _public(key))
    signed = entries[0].signer
    typer.echo(receipts.page(entries, f"valid: every byte is what key {signed} signed"))


@app.command("key", epilog="Example: faceline receipt key > receipts-public.pem")
def show_key(context: typer.Context) -> None:
    """Print the public key that receipts of this home are checked with; the private one is drawn at the first call."""
    from pipeline.wiring.receipts import signing_key  # here, because --help needs none

    call = invocation(context)
    if not call.home.exists():
        raise HomeError(f"{call.home.path} holds no deployment; begin with: faceline init")
    typer.echo(signing_key(call.settings, call.home).public_pem(), nl=False)


@app.command(epilog="Example: faceline receipt chain --key receipts-public.pem receipt.json")
def chain(
    context: typer.Context,
    key: PublicKey,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Receipts that you hold, and that must be on it.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Check every entry of the topic, and that each follows the one before. Exit 1 naming the first that does not."""
    public, call = _public(key), invocation(context)
    held = [entry for file in files or () for entry in _held(file, public)]
    chains = _read(call)
    for number, entries in chains.items():
        typer.echo(_sound(number, entries, public))
    if held:
        oldest = call.settings.now() - timedelta(milliseconds=AUDIT.retention_ms)
        gone = receipts.verify_held(held, chains, oldest)
        older = f"; older than the topic keeps: {len(gone)}" if gone else ""
        typer.echo(f"entries that you hold and that are on it: {len(held) - len(gone)}{older}")


def _sound(number: int, entries: Sequence[AuditEntry], key: "Ed25519PublicKey") -> str:
    """One line about a chain; Unproven naming its first bad link."""
    if not entries:
        return f"chain {number}: no entry"
    first = entries[0].sequence
    # Retention takes the oldest entries away: the chain then begins with the first that is left.
    start = receipts.Head(number, first, entries[0].previous if first else receipts.NOTHING)
    receipts.verify_chain(entries, key, start)
    earlier = f"; older ones, no longer kept: {first}" if first else ""
    return f"chain {number}: entries {first} to {entries[-1].sequence}, each signed, each follows the last{earlier}"


def _held(file: Path, key: "Ed25519PublicKey") -> tuple[AuditEntry, ...]:
    try:
        return receipts.proven(file.read_bytes(), key)
    except receipts.Unproven as error:
        raise receipts.Unproven(f"{file}: {error}") from None


def _public(file: Path) -> "Ed25519PublicKey":
    try:
        return receipts.public_key(file.read_bytes())
    except receipts.NoPublicKey as error:
        raise Refused(f"--key {file} is {error}; print it with: faceline receipt key") from None


def _read(call: Invocation) -> Chains:
    from pipeline import wiring  # here, because verify and --help need neither
    from pipeline.wiring.receipts import chains

    without_chatter()
    return asyncio.run(chains(wiring.kafka_access(call.settings, call.home), call.settings.deployment()))
