"""Command that shows identifications as they come, with names: the one consumer that may know them."""

import asyncio
import json
from contextlib import aclosing, suppress
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.commands import Invocation, invocation
from pipeline.commands.asking import asking
from pipeline.commands.interruption import cancelled_once_by_signals
from pipeline.operations.client import Client
from pipeline.operations.watch import identifications, latency_ms, present_name_of
from pipeline.records import Identification

app = typer.Typer()
console = Console(highlight=False)

HEADER = f"{'time':<12}  {'camera':<12}  {'track':<8}  {'who':<24}  {'similarity':>10}  {'latency':>8}"


@app.command(epilog="Example: faceline watch --json")
def watch(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Begin with the oldest identification that is kept.")] = False,
) -> None:
    """Show who passes which camera, as it happens, until Ctrl-C."""
    with suppress(asyncio.CancelledError):
        asyncio.run(_watch(invocation(context), as_json, all_))


async def _watch(call: Invocation, as_json: bool, from_beginning: bool) -> None:
    from pipeline import wiring  # it loads every engine, and --help needs none
    from pipeline.wiring.asking import reader

    cancelled_once_by_signals()
    consumer = reader(wiring.kafka_access(call.settings, call.home))
    deployment = call.settings.deployment()
    if not as_json:
        console.print(HEADER)
    async with (
        asking(call) as client,
        aclosing(identifications(consumer, deployment, from_beginning=from_beginning)) as changes,
    ):
        async for received in changes:
            if as_json:
                typer.echo(json.dumps(await as_object(client, received)))
            else:
                console.print(await as_line(client, received), soft_wrap=True, markup=False)


async def as_object(client: Client, received: Received) -> dict[str, Any]:
    """One change as `watch --json` writes it; no name of whom a deletion was acknowledged before."""
    if not isinstance(received.change, Put):
        return {"track": received.change.key, "decision": "forgotten", "time": received.appended_at.isoformat()}
    told: Identification = received.change.value
    return {
        "track": told.track_id,
        "revision": told.revision,
        "decision": told.decision,
        "time": told.captured_at.isoformat(),
        "camera": told.camera,
        "person": told.person_id,
        "name": await present_name_of(client, told),
        "similarity": told.similarity,
        "latency_ms": round(latency_ms(received, told), 1),
    }


async def as_line(client: Client, received: Received) -> str:
    """One change as a line of the table; no name of whom a deletion was acknowledged before."""
    if not isinstance(received.change, Put):
        moment = f"{received.appended_at.astimezone():%H:%M:%S.%f}"[:12]
        return f"{moment:<12}  {'':<12}  {received.change.key[:8]}  forgotten"
    told: Identification = received.change.value
    moment = f"{told.captured_at.astimezone():%H:%M:%S.%f}"[:12]
    name = await present_name_of(client, told)
    who = (name or "(forgotten)") if told.decision == "identified" else "unknown"
    similarity = "" if told.similarity is None else f"{told.similarity:.3f}"
    latency = f"{latency_ms(received, told):.0f} ms"
    return f"{moment:<12}  {told.camera:<12.12}  {told.track_id[:8]}  {who:<24}  {similarity:>10}  {latency:>8}"
