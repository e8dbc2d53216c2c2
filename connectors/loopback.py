"""This machine's own address and the ports of it: a server of ours listens nowhere else, and stays where it was."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from connectors import ServiceRefused

LOOPBACK = "127.0.0.1"
# Below every system's range of outgoing ports (Linux 32768+, macOS 49152+): a client that keeps knocking while the
# server restarts could be given the server's own port as its source, connect to itself and hold the port.
QUIET_PORTS = range(20000, 32768)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now; False for what is no port (0, 70000)."""
    if not 0 < port < 65536:
        return False
    # A plain socket: gRPC's has SO_REUSEPORT, shares a taken port in silence and so would not notice.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(other_than: Collection[int] = ()) -> int:
    """A free port of QUIET_PORTS; ServiceRefused if there is none."""
    for _ in range(1000):
        port = secrets.choice(QUIET_PORTS)
        if port not in other_than and is_free(port):
            return port
    raise ServiceRefused(
        f"no port of {QUIET_PORTS.start}-{QUIET_PORTS.stop - 1} is free on {LOOPBACK}: end some programs"
    )


def choose_ports(remembered: Path, asked: int, count: int = 1) -> list[int]:
    """`count` different free ports, the first as asked (0: any); where still free, the same as `remembered` tells.

    Writes them to that file. Raises ServiceRefused if the asked port is taken.
    """
    wanted: list[int] = []
    with suppress(OSError, ValueError):
        wanted = [int(port) for port in remembered.read_text().split()]
    if len(wanted) != count:
        wanted = [0] * count
    if asked:
        if not is_free(asked):
            raise ServiceRefused(f"port {asked} on {LOOPBACK} is taken: stop what listens there or choose another port")
        wanted[0] = asked
    ports: list[int] = []
    for port in wanted:
        ports.append(port if port not in ports and is_free(port) else free_port(other_than=ports))
    remembered.write_text(" ".join(map(str, ports)))
    return ports
