"""Commands that measure: losses under kills, speed beside bare code, who is named rightly, and who is not."""

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
from pipeline.topology import STAGES

app = typer.Typer(name="bench", help="Measure losses, speed and recognition on this machine.")
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


@app.callback(invoke_without_command=True, epilog="Example: faceline bench; the long form of one: faceline bench kills")
def every(
    context: typer.Context,
    media: Annotated[
        Path | None, typer.Option(help="Photos for passages and quality.", show_default="../shared/media/people")
    ] = None,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Run all benchmarks in their short form, and show one table. Exit 1 where something was lost or told twice."""
    if context.invoked_subcommand is not None:
        return 0
    from pipeline.bench import (
        capture,
        door,
        galleries,
        identification,
        kills,
        latency,
        memory,
        passages,
        rebalance,
        replica,
        throughput,
    )  # they load every engine
    from pipeline.bench import quality as qualities

    works: list[Work] = [
        lambda bench: kills.run(bench, kills=3, broker_kills=1, templates=(1_000,)),
        lambda bench: rebalance.run(bench, times=1),
        lambda bench: throughput.run(bench, RETAIL, fps=10),
        lambda bench: throughput.run(bench, DLIB, fps=4),
        lambda bench: capture.run(bench, times=2),
        lambda bench: latency.run(bench, faces=40),
        lambda bench: memory.run(bench, seconds=10.0),
        lambda bench: galleries.run(bench, templates=5_000),
        lambda bench: door.run(bench, writes=100, seconds=10.0),
        lambda bench: identification.run(bench, persons=(1_000,)),
        lambda bench: replica.run(bench, persons=2_000, faces=2_000),
    ]
    people = media or (PEOPLE if PEOPLE.is_dir() else None)
    if people is not None:
        works.append(lambda bench: passages.run(bench, RETAIL, people, seconds=1.0))
        works.append(lambda bench: qualities.run(bench, RETAIL, people, degradations=qualities.SHORT))
    return _measured(context, models, keep, works)


@app.command("kills", epilog="Example: faceline bench kills --kills 20 --templates 1000 --templates 10000")
def kill(
    context: typer.Context,
    kills: Annotated[int, typer.Option(min=0, help="How often to kill each stage.")] = 20,
    broker_kills: Annotated[int, typer.Option(min=0, help="How often to kill Kafka.")] = 3,
    templates: Annotated[list[int] | None, typer.Option(min=10, show_default="1000, 10000")] = None,
    stage: Annotated[list[str] | None, typer.Option(help="Kill only this one.", show_default="all")] = None,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Kill each stage and the broker while frames flow. Exit 1 where something was lost or told twice."""
    from pipeline.bench import kills as benchmark

    counts = sorted(templates or [1_000, 10_000])
    stages = _known(stage)

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, kills=kills, broker_kills=broker_kills, templates=counts, stages=stages)

    return _measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench rebalance --times 10")
def rebalance(
    context: typer.Context,
    times: Annotated[int, typer.Option(min=1, help="How often a second worker of each stage comes and goes.")] = 3,
    stage: Annotated[list[str] | None, typer.Option(help="Only a second one of this.", show_default="all")] = None,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Have a second worker join each stage under load, die, return and leave. Exit 1 where something was lost."""
    from pipeline.bench import rebalance as benchmark

    stages = _known(stage)

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, times=times, stages=stages)

    return _measured(context, models, keep, [work])


def _known(stages: list[str] | None) -> tuple[str, ...]:
    if unknown := set(stages or ()) - set(STAGES):
        raise typer.BadParameter(f"there is no stage {sorted(unknown)[0]!r}; there is: {', '.join(STAGES)}")
    return tuple(stages or STAGES)


@app.command(epilog="Example: faceline bench detect --pack retail")
def detect(context: typer.Context, pack: Packs = None, models: Models = None, keep: Keep = False) -> int:
    """Compare the processor time of a frame in the detect stage with the bare models; and the frames per second."""
    return _throughput(context, pack, models, keep)


@app.command(epilog="Example: faceline bench pipeline --pack dlib")
def pipeline(context: typer.Context, pack: Packs = None, models: Models = None, keep: Keep = False) -> int:
    """Compare the frames per second of the whole pipeline with a per-frame script; and the processor time."""
    return _throughput(context, pack, models, keep)


def _throughput(context: typer.Context, packs: list[str] | None, models: Path | None, keep: bool) -> int:
    from pipeline.bench import throughput

    def work(pack: str) -> Work:
        return lambda bench: throughput.run(bench, pack, fps=10 if pack == DLIB else 25)

    return _measured(context, models, keep, [work(pack) for pack in packs or (RETAIL, DLIB)])


@app.command(epilog="Example: faceline bench capture")
def capture(context: typer.Context, models: Models = None, keep: Keep = False) -> int:
    """Compare a capture process with bare PyAV, and with ffmpeg where it is installed."""
    from pipeline.bench import capture as benchmark

    return _measured(context, models, keep, [benchmark.run])


@app.command(epilog="Example: faceline bench latency --faces 200")
def latency(
    context: typer.Context,
    faces: Annotated[int, typer.Option(min=10, help="How many faces to measure.")] = 200,
    templates: Annotated[int, typer.Option(min=10, help="How many templates to enrol.")] = 1_000,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Measure the time from the frame that made a face to the committed identification, of a real RTSP camera."""
    from pipeline.bench import latency as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, faces=faces, templates=templates)

    return _measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench memory --seconds 300")
def memory(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=1, help="How long to watch a camera before looking.")] = 60.0,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Measure the resident memory of each process."""
    from pipeline.bench import memory as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, seconds=seconds)

    return _measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench passages --media ./people --pack retail")
def passages(
    context: typer.Context,
    media: Media,
    pack: Packs = None,
    seconds: Annotated[float, typer.Option(min=0.6, help="How long each photo is shown.")] = 2.0,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Enrol each person from one photo and watch a clip of their others. Exit 1 where somebody was named wrongly."""
    from pipeline.bench import passages as benchmark

    def work(name: str) -> Work:
        return lambda bench: benchmark.run(bench, name, media, seconds=seconds)

    return _measured(context, models, keep, [work(each) for each in pack or (RETAIL, DLIB)])


@app.command(epilog="Example: faceline bench api --clients 32 --seconds 120")
def api(
    context: typer.Context,
    detections: Annotated[int, typer.Option(min=10, help="How often to detect.")] = 60,
    writes: Annotated[int, typer.Option(min=10, help="How many persons to create.")] = 200,
    clients: Annotated[int, typer.Option(min=1, help="How many clients at once.")] = 32,
    seconds: Annotated[float, typer.Option(min=0, help="For how long; 0 leaves the crowd out.")] = 120.0,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Compare a detection over HTTP with the bare models, time writes, and let many clients in. Exit 1 on a failure."""
    from pipeline.bench import door

    def work(bench: Bench) -> Awaitable[Result]:
        return door.run(bench, pack=pack, detections=detections, writes=writes, clients=clients, seconds=seconds)

    return _measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench identification --persons 1000 --persons 10000")
def identification(
    context: typer.Context,
    persons: Annotated[list[int] | None, typer.Option(min=10, show_default="1000, 10000")] = None,
    times: Annotated[int, typer.Option(min=10, help="How often to identify.")] = 100,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Compare Identify over HTTP with a bare search of Milvus, and enrolment with a bare upsert."""
    from pipeline.bench import identification as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, persons=persons or (1_000, 10_000), times=times)

    return _measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench replica --persons 100000 --faces 100000")
def replica(
    context: typer.Context,
    persons: Annotated[int, typer.Option(min=10, help="How many persons are enrolled.")] = 100_000,
    faces: Annotated[int, typer.Option(min=10, help="How many faces have not expired.")] = 100_000,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Time the start of an API replica, and measure its memory."""
    from pipeline.bench import replica as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, persons=persons, faces=faces)

    return _measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench quality --media ./people --pack retail")
def quality(context: typer.Context, media: Media, pack: Packs = None, models: Models = None, keep: Keep = False) -> int:
    """Compare photos and degraded ones, with and without those of low quality. Exit 1 where that spares no errors."""
    from pipeline.bench import quality as benchmark

    def work(name: str) -> Work:
        return lambda bench: benchmark.run(bench, name, media)

    return _measured(context, models, keep, [work(each) for each in pack or (RETAIL, DLIB)])


@app.command(epilog="Example: faceline bench galleries --templates 20000")
def galleries(
    context: typer.Context,
    templates: Annotated[int, typer.Option(min=100, help="How many templates to search among.")] = 20_000,
    keep: Keep = False,
) -> int:
    """Compare both galleries with bare NumPy; and a Milvus server's HNSW, where the settings have one."""
    from pipeline import wiring
    from pipeline.bench import galleries as benchmark

    call = invocation(context)
    server = None if call.settings.milvus.uri is None else lambda: wiring.milvus(call.settings, call.home)
    return _measured(context, None, keep, [lambda bench: benchmark.run(bench, templates=templates, server=server)])


def _measured(context: typer.Context, models: Path | None, keep: bool, works: list[Work]) -> int:
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
