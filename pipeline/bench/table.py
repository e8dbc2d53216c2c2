"""The one table in which every benchmark shows what it found."""

import os
from collections.abc import Iterable

from rich.table import Table

from pipeline.bench import Row

MET = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}


def table(rows: Iterable[Row]) -> Table:
    """The rows, under a title that says what the machine was doing besides."""
    busy = os.getloadavg()[0]
    title = f"faceline bench: {os.cpu_count()} processors, load {busy:.1f} at the end"
    shown = Table("benchmark", "what", "value", "goal", "", title=title, title_justify="left")
    for row in rows:
        shown.add_row(row.benchmark, row.what, row.value, row.goal, MET[row.met])
    return shown
