"""Reading what others name: only from the public internet, or from where the operator allowed it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
from aiohttp import web

from connectors.web import AllowList, TooLong, Unfetchable, Web, is_public

LIMIT = 10_000
LOOPBACK = AllowList.of(["127.0.0.1"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "192.88.99.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2001::1",
        "2002:7f00:1::",
        "2001:db8::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "3fff::1",
    ],
)
def test_what_only_this_machine_reaches_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """A web server on loopback: its address."""

    async def image(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 1_000)

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def onward(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def circle(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/circle"})

    async def host(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Host"])

    application = web.Application()
    application.add_routes(
        [web.get(f"/{each.__name__}", each) for each in (image, endless, slow, onward, circle, host)]
    )
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_allowed_host_is_read(server: str) -> None:
    async with Web(LOOPBACK) as reader:
        assert await reader.read(f"{server}/image", limit=LIMIT) == b"x" * 2_000
        assert await reader.read(f"{server}/onward?to=/onward?to=/image", limit=LIMIT) == b"x" * 2_000


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/image",
        "http://localhost:{port}/image",
        "http://127.1:{port}/image",
        "http://2130706433:{port}/image",
        "http://0x7f000001:{port}/image",
        "http://[::1]:{port}/image",
        "http://[::ffff:127.0.0.1]:{port}/image",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:,x",
        "//127.0.0.1/image",
        "http://",
        "http://[::1",
        "http://no-such-host.invalid/x",
        "http://127.0.0.1:99999/",
        "",
    ],
)
async def test_what_is_not_public_is_refused_and_not_repeated(server: str, url: str) -> None:
    given = url.replace("{port}", server.rpartition(":")[2])
    async with Web(AllowList()) as reader:
        with pytest.raises(Unfetchable) as refused:
            await reader.read(given, limit=LIMIT)
    assert "127.0.0.1" not in str(refused.value)


@pytest.mark.parametrize("target", ["http://127.0.0.2/x", "http://169.254.169.254/", "file:///etc/passwd"])
async def test_a_redirect_is_judged_like_the_first_address(server: str, target: str) -> None:
    async with Web(LOOPBACK) as reader:
        with pytest.raises(Unfetchable, match=r"not on the public internet|not an absolute one"):
            await reader.read(f"{server}/onward?to={target}", limit=LIMIT)


async def test_four_redirects_are_too_many(server: str) -> None:
    async with Web(LOOPBACK) as reader:
        with pytest.raises(Unfetchable, match="more than 3 times"):
            await reader.read(f"{server}/circle", limit=LIMIT)


async def test_a_host_with_one_private_address_is_refused_and_none_is_asked_twice(server: str) -> None:
    asked = []

    async def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8", "127.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]

    async with Web(AllowList(), lookup=rebinding) as reader:
        with pytest.raises(Unfetchable, match="not on the public internet"):
            await reader.read("http://rebinding.example/", limit=LIMIT)
    assert asked == ["rebinding.example"]


async def test_the_judged_address_is_the_one_that_is_connected_to(server: str) -> None:
    port = server.rpartition(":")[2]

    async def elsewhere(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    async with Web(AllowList.of(["Photos.Example"]), lookup=elsewhere) as reader:
        assert await reader.read(f"http://photos.example:{port}/host", limit=LIMIT) == f"photos.example:{port}".encode()


async def test_too_long_and_too_slow(server: str) -> None:
    async with Web(LOOPBACK) as reader:
        with pytest.raises(TooLong):
            await reader.read(f"{server}/image", limit=1_999)
        with pytest.raises(TooLong):
            await reader.read(f"{server}/endless", limit=LIMIT)
        with pytest.raises(Unfetchable, match="answers 404"):
            await reader.read(f"{server}/none", limit=LIMIT)
    async with Web(LOOPBACK, seconds=0.5) as hasty:
        with pytest.raises(Unfetchable, match="TimeoutError"):
            await hasty.read(f"{server}/slow", limit=LIMIT)


async def test_a_closed_port_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Web(LOOPBACK) as reader:
        with pytest.raises(Unfetchable, match="ClientConnectorError"):
            await reader.read(f"http://127.0.0.1:{port}/", limit=LIMIT)
