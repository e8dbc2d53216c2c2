"""Commands for the topics of a cluster: bring them to what the map says, and show them."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.kafka_admin import TopicState
from pipeline import topics
from pipeline.commands import Invocation, invocation
from pipeline.topology import TOPICS

app = typer.Typer(name="topics", help="The topics on Kafka: apply what the map says, or show them.")
console = Console(highlight=False)


@app.command(epilog="Example: faceline topics apply")
def apply(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Also where data is kept longer than now.")] = False,
) -> int:
    """Create missing topics and repair settings; doing it twice does nothing. Exit 1 when something was left alone."""
    from pipeline import wiring  # here, because it loads every engine

    call = invocation(context)
    applied = topics.apply(wiring.admin(call.settings, call.home), call.settings.deployment(), force=force)
    for line in applied.done:
        typer.echo(line)
    for line in applied.refused:
        typer.echo(f"left alone: {line}", err=True)
    if not applied.done and not applied.refused:
        typer.echo("every topic is as the map says")
    return 1 if applied.refused else 0


@app.command(epilog="Example: faceline topics show")
def show(context: typer.Context) -> int:
    """Show every topic, how long it keeps what, and where it differs from the map. Exit 1 when one differs."""
    from pipeline import wiring  # here, because it loads every engine

    call = invocation(context)
    states, found = topics.survey(wiring.admin(call.settings, call.home), call.settings.deployment())
    console.print(_table(call, states))
    troubles = [f"{plan.name}: missing" for plan in found.missing]
    troubles += [*map(str, found.differences), *found.wrong_counts]
    for line in troubles:
        typer.echo(line, err=True)
    return 1 if troubles else 0


def _table(call: Invocation, states: Mapping[str, TopicState]) -> Table:
    table = Table("topic", "partitions", "replicas", "cleanup", "keeps", "segment")
    deployment = call.settings.deployment()
    for topic in TOPICS:
        state = states.get(deployment.name(topic))
        if state is None:
            table.add_row(deployment.name(topic), "-", "-", "missing", "-", "-")
            continue
        setting = {name: value.value for name, value in state.config.items()}
        table.add_row(
            state.name,
            str(state.partitions),
            str(state.replication),
            setting.get("cleanup.policy", ""),
            duration(setting.get("retention.ms", "")),
            duration(setting.get("segment.ms", "")),
        )
    return table


def duration(milliseconds: str) -> str:
    """Kafka's milliseconds as a person says them; "-1" is for ever."""
    if not milliseconds.lstrip("-").isdigit():
        return milliseconds
    number = int(milliseconds)
    if number < 0:
        return "for ever"
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if number >= size and number % size == 0:
            return f"{number // size} {unit}"
    return f"{number} ms"
