"""What `faceline status` shows: the processes as their supervisor lists them, with what each one says of itself."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from pipeline.home import Process, Running
from pipeline.metrics import LAG, LOOPBACK

ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Observed:
    """One process: `health` is "ok", what it says is wrong, or "silent"; `lag` in records, None where it tells none.

    `address` is where it serves clients, empty where it serves none.
    """

    name: str
    pid: int
    restarts: int
    metrics_port: int
    health: str
    lag: int | None
    address: str = ""


def observed(running: Running) -> list[Observed]:
    """Ask every process for its health and its lag, all at once."""
    with ThreadPoolExecutor(max_workers=max(1, len(running.processes))) as pool:
        return list(pool.map(lambda item: _observe(*item), running.processes.items()))


def as_json(running: Running, rows: Sequence[Observed]) -> str:
    """The same for a program."""
    return json.dumps(
        {
            "pid": running.pid,
            "ready": running.ready,
            "bootstrap": running.bootstrap,
            "milvus_uri": running.milvus_uri,
            "processes": [asdict(row) for row in rows],
        }
    )


def as_table(running: Running, rows: Sequence[Observed]) -> Table:
    """The same for a person."""
    state = "running" if running.ready else "starting"
    title = f"{state}: supervisor {running.pid}, Kafka {running.bootstrap or '-'}, Milvus {running.milvus_uri or '-'}"
    doors = ", ".join(row.address for row in rows if row.address)
    caption = f"Face API: {doors}" if doors else None
    columns = ("process", "pid", "restarts", "health", "lag", "metrics")
    table = Table(*columns, title=title, title_justify="left", caption=caption, caption_justify="left")
    for row in rows:
        address = f"http://{LOOPBACK}:{row.metrics_port}/metrics" if row.metrics_port else "-"
        lag = "-" if row.lag is None else str(row.lag)
        table.add_row(row.name, str(row.pid), str(row.restarts), row.health, lag, address)
    return table


def _observe(name: str, process: Process) -> Observed:
    port = process.metrics_port
    health, lag = ("-", None) if port == 0 else (_health(port), _lag(port))
    return Observed(name, process.pid, process.restarts, port, health, lag, process.address)


def _health(port: int) -> str:
    try:
        return _get(port, "healthz").strip()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode("utf-8", "replace").strip()
    except OSError:
        return "silent"


def _lag(port: int) -> int | None:
    try:
        values = list(_lag_of_partitions(_get(port, "metrics")))
    except (OSError, ValueError):
        return None
    return int(sum(values)) if values else None


def _lag_of_partitions(text: str) -> Iterator[float]:
    for family in text_string_to_metric_families(text):
        if family.name == LAG:
            yield from (sample.value for sample in family.samples)


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/{path}", timeout=ANSWER_SECONDS) as answer:
        return str(answer.read().decode())
