"""The command that tells an operator what is wrong, and the cure."""

import typer
from rich.console import Console
from rich.text import Text

from pipeline.commands import invocation

app = typer.Typer()
console = Console(highlight=False)

FAILED = 1
MISTAKEN = 2
COLOURS = {"ok": "green", "wrong": "red", "idle": "yellow"}


@app.command(epilog="Example: faceline check")
def check(context: typer.Context) -> int:
    """Look at everything from settings to cameras. Exit 2 where you can cure something, 1 where something is absent."""
    from pipeline import doctor  # here, because it loads every engine

    call = invocation(context)
    code = 0
    for finding in doctor.examine(call.home, call.settings):
        state = Text(f"{finding.state:<6}", style=COLOURS[finding.state])
        console.print(state, Text(f"{finding.subject}: {finding.text}"), soft_wrap=True)
        if finding.state == "wrong":
            code = max(code, MISTAKEN if finding.mistake else FAILED)
    return code
