"""Commands for erasures: how far each has come, and the receipt of one."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import receipts
from pipeline.commands import Invocation, invocation, keystore
from pipeline.commands.asking import asking, without_chatter
from pipeline.operations import Refused
from pipeline.operations.erasures import Erased

if TYPE_CHECKING:
    from pipeline.operations.account import Ended
    from pipeline.operations.erasures import Erasures

app = typer.Typer(name="erase", help="What was deleted: status, receipt, account.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The id of the erasure, as the deletion printed it.", metavar="ERASURE")]


@app.command(epilog="Example: faceline erase status")
def status(
    context: typer.Context,
    erasure: Annotated[
        str | None, typer.Argument(help="This one alone.", metavar="ERASURE", show_default=False)
    ] = None,
) -> None:
    """Show every deletion of the last 48 hours, and every one that has a receipt: the newest last."""
    known = _read(invocation(context))
    told = [each for each in known.told() if erasure in (None, each.id)]
    if not told and erasure is not None:
        raise Refused(f"nothing is known of an erasure {erasure}; see: faceline erase status")
    if not told:
        typer.echo("nothing was deleted yet")
        return
    # No table: an id that was cut to fit a screen is none.
    typer.echo(f"{'erasure':<36}  {'asked for':<27}  {'erased':<47}  state")
    for each in told:
        what = f"{each.kind} {each.subject}"
        typer.echo(f"{each.id:<36}  {receipts.moment(each.requested)}  {what:<47}  {_state(each)}")


def _state(each: Erased) -> str:
    if each.effective is None:
        behind = ", ".join(map(str, each.behind)) or "none: it is about to be done"
        return f"erasing: partitions of identify that may still name it: {behind}"
    after = (each.effective - each.requested).total_seconds()
    verified = ", ".join(f"{one.store} {'clean' if one.clean else 'NOT CLEAN'}" for one in each.verified)
    signed = "with receipt" if each.signed else "the receipt is being signed"
    return f"done {after:.3f} s later, {signed}; searched since: {verified or 'nothing yet'}"


@app.command(epilog="Example: faceline erase receipt 5f2b8e6a-9d10-4c3b-b0c1-e2a4c7de0a2c --json receipt.json")
def receipt(
    context: typer.Context,
    erasure: Id,
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write the receipt to this file, for `faceline receipt verify`.", dir_okay=False),
    ] = None,
) -> None:
    """Show a receipt, with what was verified since; or write it to a file that proves itself."""
    entries = _read(invocation(context)).entries.get(erasure)
    if entries is None:
        raise Refused(f"no erasure {erasure} has a receipt; see: faceline erase status")
    if json is None:
        typer.echo(receipts.page(entries, f"not checked here; by key {entries[0].signer}"))
        return
    json.write_bytes(receipts.written(entries))
    typer.echo(f"the receipt is in {json}; whoever has the public key checks it with: faceline receipt verify")


@app.command(epilog="Example: faceline erase account --yes")
def account(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget everybody: every collection and person, each with its receipt, and every face and frame that is kept.

    The root key is rotated at the end, so that no older copy of the key store opens anything. Cameras that run go on,
    and what they see now is kept anew; for half a minute their frames are refused.
    """
    call = invocation(context)
    if not yes:
        typer.confirm(f"Forget everybody whom the deployment in {call.home.path} knows?", abort=True)
    done = asyncio.run(_ended(call))
    typer.echo(f"forgotten: {sum(each.forgotten for each in done.erasures)} records in {len(done.erasures)} deletions")
    typer.echo(f"destroyed: {done.keys} keys of faces and frames")
    for each in done.erasures:
        typer.echo(f"its receipt: faceline erase receipt {each.operation_id}")
    keystore.rotate(context)


async def _ended(call: Invocation) -> "Ended":
    from pipeline import wiring
    from pipeline.operations import account

    async with asking(call) as client:
        with closing(wiring.key_store(call.settings, call.home)) as keys:
            return await account.erase(client, keys)


def _read(call: Invocation) -> "Erasures":
    from pipeline import wiring  # here, because --help needs none
    from pipeline.wiring.receipts import erasures

    without_chatter()
    return asyncio.run(erasures(wiring.kafka_access(call.settings, call.home), call.settings.deployment()))
