"""Reads a file from the web that somebody else named, and from nowhere that only this machine can reach.

A host is resolved once, every address it has is judged, and the connection goes to a judged address: a second look-up
could answer something else. Each redirect is judged like the first address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

REDIRECTS = 3
SECONDS = 10.0
CONNECT_SECONDS = 5.0
CHUNK = 64 << 10
MOVED = frozenset({301, 302, 303, 307, 308})
PORTS = {"http": 80, "https": 443}
# IANA's registries: of IPv6 only global unicast is routed between networks, and these parts of it are not, or lead on
# to an IPv4 address that nobody would have judged (Teredo and its neighbours, 6to4); nor is 6to4's IPv4 relay.
GLOBAL_IPV6 = IPv6Network("2000::/3")
NOT_GLOBAL = (
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
    IPv4Network("192.88.99.0/24"),
)

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Awaitable[Iterable[str]]]


class Unfetchable(Exception):
    """This URL is not read, or not to be read; one line that does not repeat it."""


class TooLong(Exception):
    """What stands there is longer than was asked for."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts by name (lower case) and networks that may be read although they are not public."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> AllowList:
        """From texts: an address, a network in CIDR notation, or the name of a host."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def admits(self, host: str, address: Address) -> bool:
        """Whether `host`, found at `address`, is one that was allowed."""
        return host.lower().rstrip(".") in self.hosts or any(address in network for network in self.networks)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, whoever looks."""
    if any(address in network for network in NOT_GLOBAL):
        return False
    # Both: a forwarding form such as ::ffff:0:0/96 or 64:ff9b::/96 counts as global in some releases of Python.
    routed = isinstance(address, IPv4Address) or address in GLOBAL_IPV6
    return routed and address.is_global and not address.is_multicast


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, as this machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Web:
    """A reader of URLs: `async with Web(allowed) as web`. One event loop may use it."""

    def __init__(self, allowed: AllowList, *, seconds: float = SECONDS, lookup: Lookup = look_up) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._lookup = lookup
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS),
            headers={"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "faceline"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self, url: str, *, limit: int) -> bytes:
        """The whole of what stands at an http or https URL; Unfetchable, or TooLong for more than `limit` bytes."""
        if self._session is None:
            raise RuntimeError("enter the web with `async with` first")
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(self._session, _parsed(url), limit)
        except (ClientError, OSError, ValueError) as error:
            # TimeoutError is an OSError; a resolver's, too. Their texts may quote the address.
            raise Unfetchable(f"the URL cannot be read ({type(error).__name__})") from None

    async def _follow(self, session: ClientSession, url: URL, limit: int) -> bytes:
        for _ in range(REDIRECTS + 1):
            address = await self._judged(url)
            # The address takes the host's place, so that nothing looks it up again; TLS still checks the name.
            async with session.get(
                url.with_host(address),
                headers={"Host": url.authority.rpartition("@")[2]},
                server_hostname=url.host if url.scheme == "https" else None,
                allow_redirects=False,
            ) as answer:
                if answer.status not in MOVED:
                    return await _content(answer, limit)
                url = _parsed(str(url.join(URL(answer.headers.get("Location", "")))))
        raise Unfetchable(f"the URL leads on more than {REDIRECTS} times")

    async def _judged(self, url: URL) -> str:
        host, port = url.host or "", url.port or PORTS[url.scheme]
        addresses = [ip_address(text.partition("%")[0]) for text in await self._lookup(host, port)]
        if not addresses:
            raise Unfetchable("the URL's host has no address")
        if not all(is_public(each) or self._allowed.admits(host, each) for each in addresses):
            raise Unfetchable("the URL's host is not on the public internet, and not allowed by the settings")
        return str(addresses[0])


def _parsed(text: str) -> URL:
    url = URL(text)
    if url.scheme not in PORTS or not url.host:
        raise Unfetchable("the URL is not an absolute one of http or https")
    return url


async def _content(answer: ClientResponse, limit: int) -> bytes:
    if answer.status != 200:
        raise Unfetchable(f"the URL's host answers {answer.status}")
    if (answer.content_length or 0) > limit:
        raise TooLong
    content = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        content += chunk
        if len(content) > limit:
            raise TooLong
    return bytes(content)
