"""What every benchmark command does: options of the same names, a folder of its own, and a table at the end."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.bench import Bench, Result
from pipeline.bench.table import table
from pipeline.commands import invocation

console = Console(highlight=False)

SHARED = Path("..") / "shared"
WEIGHTS, PEOPLE = SHARED / "models", SHARED / "media" / "people"
RETAIL, DLIB = "retail", "dlib"

Models = Annotated[
    Path | None, typer.Option(help="Folder with the weights of the pack retail.", show_default="../shared/models")
]
Packs = Annotated[
    list[str] | None, typer.Option("--pack", help="A model pack; may be given again.", show_default="both")
]
One = Annotated[str, typer.Option("--pack", help="The model pack.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave homes, logs and clips behind, and say where.")]
Media = Annotated[Path, typer.Option(help="Folder with one folder per person, two photos or more in each.")]
Work = Callable[[Bench], Awaitable[Result]]


def measured(context: typer.Context, models: Path | None, keep: bool, works: list[Work]) -> int:
    """Do the work in a folder of its own, and show one table. 1 where something did not hold that must."""
    cache = invocation(context).settings.models.cache
    # What a killed process makes the others say belongs on no terminal: here it is what was asked for.
    for name in ("aiokafka", "pipeline"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    with _folder(keep) as folder, console.status("beginning") as status:
        weights = models or (WEIGHTS if WEIGHTS.is_dir() else None)
        bench = Bench(folder, cache, weights, status.update)
        results = [asyncio.run(_awaited(work(bench))) for work in works]
    console.print(table(row for result in results for row in result.rows()))
    return 0 if all(result.sound for result in results) else 1


async def _awaited(work: Awaitable[Result]) -> Result:
    return await work


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="faceline-bench-"))
    try:
        yield folder
    finally:
        if keep:
            console.print(f"homes, logs and clips are in {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
