"""Commands that measure recognition: who is named rightly, what a search costs, and the API."""

from collections.abc import Awaitable
from typing import Annotated

import typer

from pipeline.bench import Bench, Result
from pipeline.commands import invocation
from pipeline.commands.measuring import DLIB, RETAIL, Keep, Media, Models, One, Packs, Work, measured

app = typer.Typer()


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

    return measured(context, models, keep, [work(each) for each in pack or (RETAIL, DLIB)])


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

    return measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench identification --persons 1000 --persons 10000")
def identification(
    context: typer.Context,
    persons: Annotated[list[int] | None, typer.Option(min=10, show_default="1000, 10000")] = None,
    times: Annotated[int, typer.Option(min=10, help="How often to identify.")] = 100,
    pack: One = RETAIL,
    models: Models = None,
    keep: Keep = False,
) -> int:
    """Compare Identify over HTTP with a bare search, enrolment with a bare upsert; time the check of deletions."""
    from pipeline.bench import identification as benchmark

    def work(bench: Bench) -> Awaitable[Result]:
        return benchmark.run(bench, pack=pack, persons=persons or (1_000, 10_000), times=times)

    return measured(context, models, keep, [work])


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

    return measured(context, models, keep, [work])


@app.command(epilog="Example: faceline bench quality --media ./people --pack retail")
def quality(context: typer.Context, media: Media, pack: Packs = None, models: Models = None, keep: Keep = False) -> int:
    """Compare photos and degraded ones, with and without those of low quality. Exit 1 where that spares no errors."""
    from pipeline.bench import quality as benchmark

    def work(name: str) -> Work:
        return lambda bench: benchmark.run(bench, name, media)

    return measured(context, models, keep, [work(each) for each in pack or (RETAIL, DLIB)])


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
    return measured(context, None, keep, [lambda bench: benchmark.run(bench, templates=templates, server=server)])
