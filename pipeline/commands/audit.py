"""The command that proves, or disproves, that what was forgotten is gone."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from pipeline.commands import Invocation, invocation
from pipeline.commands.asking import asking
from pipeline.erasing.encodings import Vector, read_vectors
from pipeline.operations import Refused

if TYPE_CHECKING:
    from pipeline.auditing.report import Line

app = typer.Typer(name="audit", help="Prove from outside that what was forgotten is gone.", no_args_is_help=True)
console = Console(highlight=False)

FAILED = 1
COLOURS = {"PASS": "green", "PENDING": "yellow", "FAIL": "red", "BLIND": "red", "CANNOT TELL": "yellow"}


@app.callback()
def _group() -> None:
    """Prove from outside that what was forgotten is gone."""


@app.command(epilog="Example: faceline audit erasure --wait")
def erasure(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until the canary has left every store, or its bound is over.")
    ] = False,
    canary: Annotated[
        Path | None,
        typer.Option(
            help="Vectors that must be nowhere: JSON, a list of numbers or of such lists.", show_default=False
        ),
    ] = None,
    kafka_data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A data folder of your broker on this machine; repeat it for each of log.dirs.", show_default=False
        ),
    ] = None,
) -> int:
    """Enrol a canary, find it, delete it, and look through everything kept. Exit 1 at FAIL or BLIND.

    Reads every file of the home, and of the broker: topics against the map, keys, raw segments, Milvus, logs.
    """
    from connectors.kafka_segments import segments  # it loads Kafka's client, and --help needs none

    for folder in kafka_data or ():
        if next(segments(folder), None) is None:
            raise Refused(f"--kafka-data {folder} holds no partitions: give the folder that is log.dirs of the broker")
    return asyncio.run(_audited(invocation(context), json, wait, _given(canary), kafka_data or []))


def _given(file: Path | None) -> dict[str, Vector]:
    if file is None:
        return {}
    try:
        vectors = read_vectors(str(file), file.read_bytes())
    except ValueError as mistake:
        raise Refused(str(mistake)) from None
    except OSError as error:
        raise Refused(f"--canary {file} cannot be read: {error.strerror}") from None
    return {f"vector {number} of {file.name}": vector for number, vector in enumerate(vectors, 1)}


async def _audited(call: Invocation, json: bool, wait: bool, given: dict[str, Vector], kafka_data: list[Path]) -> int:
    from pipeline.auditing.erasure import Audit  # it loads every engine, and --help needs none
    from pipeline.auditing.findings import findings
    from pipeline.auditing.report import Report, as_json, in_words
    from pipeline.operations.findings import note

    began, lines = call.settings.now(), list["Line"]()
    audit = Audit(call.settings, call.home, kafka_data, given, wait)
    async with asking(call) as client:
        async with aclosing(audit.lines(client)) as found:
            async for line in found:
                lines.append(line)
                if not json:
                    verdict = Text(f"{line.verdict:<12}", style=COLOURS[line.verdict])
                    console.print(verdict, Text(f"{line.check:<10} {line.subject}: {line.text}"), soft_wrap=True)
        # Have what is clean signed, erasure by erasure.
        clean = findings(lines, audit.evidence, call.settings.deployment())
        await note(client, clean)
    report = Report(began=began, ended=call.settings.now(), lines=tuple(lines))
    if json:
        typer.echo(as_json(report))
    else:
        console.print(f"put on the audit chain: {len(clean)} times that a store is clean of an erasure")
        console.print(in_words(report), style="bold", soft_wrap=True)
    return 0 if report.passed else FAILED
