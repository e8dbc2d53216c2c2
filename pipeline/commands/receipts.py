"""Commands for receipts of erasures: check one anywhere, list and fetch them, check the chain that they form."""

import asyncio
from collections import defaultdict
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
from pipeline.records import AuditEntry, Receipt, Verified
from pipeline.topology import AUDIT

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

app = typer.Typer(name="receipt", help="Receipts of erasures: verify, key, list, show, chain.", no_args_is_help=True)

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


@app.command("list", epilog="Example: faceline receipt list")
def list_(context: typer.Context) -> None:
    """Show every erasure that has a receipt, the oldest first, and which stores were searched since. Checks nothing."""
    told: list[Receipt] = []
    searched: defaultdict[str, list[str]] = defaultdict(list)
    for entry in (entry for chain in _read(invocation(context)).values() for entry in chain):
        match entry.event:
            case Receipt():
                told.append(entry.event)
            case Verified(erasure=erasure):
                searched[erasure].append(_state(entry.event))
    if not told:
        typer.echo("no erasure has a receipt yet")
        return
    typer.echo(f"{'erasure':<36}  {'effective':<27}  {'erased':<47}  verified")
    for each in sorted(told, key=lambda each: each.effective):
        what, stores = f"{each.kind} {each.subject}", ", ".join(searched[each.erasure]) or "not yet"
        typer.echo(f"{each.erasure:<36}  {receipts.moment(each.effective)}  {what:<47}  {stores}")


def _state(verified: Verified) -> str:
    return f"{verified.store} {'clean' if verified.clean else 'NOT CLEAN'}"


@app.command(epilog="Example: faceline receipt show 5f2b8e6a-9d10-4c3b-b0c1-e2a4c7de0a2c --json receipt.json")
def show(
    context: typer.Context,
    erasure: Annotated[str, typer.Argument(help="The id of the erasure, as `faceline receipt list` shows it.")],
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write the receipt to this file, for `faceline receipt verify`.", dir_okay=False),
    ] = None,
) -> None:
    """Show a receipt, with what was verified since; or write it to a file that proves itself."""
    entries = [
        entry for chain in _read(invocation(context)).values() for entry in chain if entry.event.erasure == erasure
    ]
    if not entries or not isinstance(entries[0].event, Receipt):
        raise Refused(f"no erasure {erasure} has a receipt; see: faceline receipt list")
    if json is None:
        typer.echo(receipts.page(entries, f"not checked here; by key {entries[0].signer}"))
        return
    json.write_bytes(receipts.written(entries))
    typer.echo(f"the receipt is in {json}; whoever has the public key checks it with: faceline receipt verify")


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
