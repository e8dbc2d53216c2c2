"""Commands that measure the stages: losses under kills and rebalances, and speed beside bare code."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.bench import Bench, Result
from pipeline.commands import bench_recognition
from pipeline.commands.measuring import DLIB, PEOPLE, RETAIL, Keep, Models, One, Packs, Work, measured
from pipeline.topology import STAGES

app = typer.Typer(name="bench", help="Measure losses, speed and recognition on this machine.")
app.add_typer(bench_recognition.app)


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
        soak,
        throughput,
    )  # they load every engine
    from pipeline.bench import quality as qualities

    works: list[Work] = [
        lambda bench: kills.run(bench, kills=3, broker_kills=1, templates=(1_000,)),
        lambda bench: rebalance.run(bench, times=1),
        lambda bench: soak.run(bench, minutes=2.0, kills_per_minute=10.0),
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
    return measured(context, models, keep, works)


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

    return measured(context, models, keep, [work])


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

    return measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench soak --minutes 30 --deletions 1000")
def soak(
    context: typer.Context,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long to delete and kill.")] = 10.0,
    kills_per_minute: Annotated[float, typer.Option(min=0, help="How many blows a minute; 0 for none.")] = 6.0,
    deletions: Annotated[
        int | None, typer.Option(min=1, help="End at so many, once each kind of blow was struck.", show_default="none")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the moments and of who is deleted.")] = 0,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Delete persons who are in view while stages, broker and Milvus are killed, and identify hangs. Exit 1 on a ghost.

    Exit 1 as well where something was lost, told twice, or not acknowledged with exactly one receipt.
    """
    from pipeline.bench import soak as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(
            bench,
            pack=pack,
            minutes=minutes,
            kills_per_minute=kills_per_minute,
            deletions=deletions,
            seed=seed,
        )

    return measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench simulate --seeds 1000")
def simulate(
    context: typer.Context,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run.")] = 100,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
) -> int:
    """Run the real stages on a simulated Kafka, in virtual time, with faults. Exit 1 where a promise is broken."""
    from pipeline.bench import simulate as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, seeds=seeds, first=first)

    return measured(context, None, False, [work])


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

    return measured(context, models, keep, [work(pack) for pack in packs or (RETAIL, DLIB)])


@app.command(epilog="Example: faceline bench capture")
def capture(context: typer.Context, models: Models = None, keep: Keep = False) -> int:
    """Compare a capture process with bare PyAV, and with ffmpeg where it is installed."""
    from pipeline.bench import capture as benchmark

    return measured(context, models, keep, [benchmark.run])


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

    return measured(context, models, keep, [work])


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

    return measured(context, models, keep, [work])
