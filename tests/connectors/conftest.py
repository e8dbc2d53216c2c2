"""Real outsiders for the tests of this package: an RTSP camera on loopback, the clips it plays, places of keys."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from connectors.footage import GRACE_HOPPER, Placement, Scene, View, make_clip, portraits
from connectors.rtsp_server import RtspServer
from tests.connectors.key_places import FilePlace, Place, PostgresServer, ServerPlace

StartServer = Callable[[Path], Awaitable[RtspServer]]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `h264.mp4`, `h265.mp4` and `h264.ts`: 2 s, 15 fps, 320x180, a slow pan."""
    folder = tmp_path_factory.mktemp("clips")
    face = Placement(portraits()[GRACE_HOPPER], View(0.4, 0.5, 1.0), View(0.6, 0.5, 1.0))
    scenes = [Scene(2.0, (face,))]
    make_clip(folder / "h264.mp4", scenes, size=(320, 180))
    make_clip(folder / "h264.ts", scenes, size=(320, 180))
    make_clip(folder / "h265.mp4", scenes, size=(320, 180), codec="libx265")
    return folder


@pytest.fixture
async def rtsp_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    """Starts real RTSP servers; ends them after the test."""
    servers: list[RtspServer] = []

    async def start(folder: Path) -> RtspServer:
        server = RtspServer(folder, log=tmp_path / f"rtsp-{len(servers)}.log")
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a key store is kept: whatever is true of one place must be true of the other."""
    if request.param == "sqlite":
        return FilePlace(tmp_path / "keys")
    server: PostgresServer = request.getfixturevalue("postgres")
    return ServerPlace(tmp_path / "keys", server.schema())
