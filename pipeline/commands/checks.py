"""The command that tells an operator what is wrong, and the cure."""

import typer
from rich.console import Console
from rich.text import Text

from pipeline.commands import invocation

app = typer.Typer()
console = Console(highlight=False)

COLOURS = {"ok": "green", "wrong": "red", "idle": "yellow"}


@app.command(epilog="Example: faceline check")
def check(context: typer.Context) -> int:
    """Look at settings, home, Kafka, topics, Milvus, models and cameras. Exit 1 when something is wrong."""
    from pipeline import doctor  # here, because it loads every engine

    call = invocation(context)
    wrong = False
    for finding in doctor.examine(call.home, call.settings):
        state = Text(f"{finding.state:<6}", style=COLOURS[finding.state])
        console.print(state, Text(f"{finding.subject}: {finding.text}"), soft_wrap=True)
        wrong = wrong or finding.state == "wrong"
    return 1 if wrong else 0
