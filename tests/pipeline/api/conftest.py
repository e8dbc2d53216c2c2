"""One deployment for the tests of a module, and the photos that they send."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.broker import EmbeddedBroker
from tests.pipeline.api.house import House, house, photos


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(broker: EmbeddedBroker, milvus: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A deployment that all tests of a module share: take ids of your own."""
    folder = tmp_path_factory.mktemp("house")
    api = {"allow_hosts": ["127.0.0.1"], "rate": 100_000, "burst": 100_000}
    async with house(broker.bootstrap, milvus, folder, api=api) as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """JPEG photos: "eileen", "grace", each "... again", and "both" of them."""
    return photos()
