"""What every test may ask for: the shared photos and weights where they exist, and a real Kafka."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import platformdirs
import pytest
import pytest_asyncio

from connectors.broker import EmbeddedBroker
from connectors.broker_jars import fetch_jars
from connectors.milvus_server import EmbeddedMilvus
from tests.parsing import parse_undisturbed

if TYPE_CHECKING:
    from tests.connectors.key_places import PostgresServer
    from tests.connectors.openbao import OpenBaoServer

SHARED = Path(__file__).parents[2] / "shared"

# No property here is about time, and a machine that has other work may take long over any example.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
parse_undisturbed()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured (`record_property`): without this, pytest writes it into an XML report alone."""
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {name}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
    ]
    if told:
        terminalreporter.section("measured")
        for line in told:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test photos, clips and weights that stands beside a development checkout."""
    if not (SHARED / "media").is_dir():
        pytest.skip("the shared media folder is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The verified archives of Kafka, in the user's cache: fetched by the first run, shared by all later ones."""
    return fetch_jars(Path(platformdirs.user_cache_dir("faceline")) / "kafka")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    """One Kafka for the whole run, reached at `broker.bootstrap`: take topic and group names of your own."""
    kafka = EmbeddedBroker(tmp_path_factory.mktemp("kafka"), kafka_jars)
    await kafka.start()
    yield kafka
    await kafka.stop()


@pytest.fixture(scope="session")
def milvus_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run's Milvus Lite keeps everything."""
    return tmp_path_factory.mktemp("milvus") / "data"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def milvus(milvus_data: Path) -> AsyncIterator[str]:
    """The address of one Milvus Lite for the whole run: take collection names of your own."""
    server = EmbeddedMilvus(milvus_data)
    yield await server.start()
    await server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """One PostgreSQL for the whole run: take a schema of your own."""
    from tests.connectors.key_places import PostgresServer  # most tests need neither it nor what it loads

    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator["OpenBaoServer"]:
    """One OpenBao for the whole run: take names of keys of your own."""
    from tests.connectors.openbao import OpenBaoServer  # most tests need neither it nor what it loads

    server = OpenBaoServer(tmp_path_factory.mktemp("openbao"))
    server.start()
    yield server
    server.stop()
