"""A server of ours gets a port that nobody has, and the same one again after a restart."""

import socket
from pathlib import Path

import pytest

from connectors import ServiceRefused, loopback
from connectors.loopback import LOOPBACK, QUIET_PORTS, choose_ports, free_port, is_free


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        assert not is_free(other.getsockname()[1])
    assert not is_free(0)
    assert not is_free(70_000)


def test_a_port_shared_by_whoever_asks_for_it_is_not_free() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as gRPC listens
        other.bind((LOOPBACK, 0))
        other.listen()
        assert not is_free(other.getsockname()[1])


def test_a_free_port_is_no_outgoing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    assert port in QUIET_PORTS
    monkeypatch.setattr(loopback, "QUIET_PORTS", range(port, port + 1))
    with pytest.raises(ServiceRefused, match=rf"no port of {port}-{port} is free on 127\.0\.0\.1: end some programs"):
        free_port(other_than=[port])


def test_ports_are_remembered_and_replaced_when_taken(tmp_path: Path) -> None:
    file = tmp_path / "ports"
    first = choose_ports(file, 0, count=2)
    assert choose_ports(file, 0, count=2) == first
    with socket.create_server((LOOPBACK, first[0])):
        second = choose_ports(file, 0, count=2)
    assert second[0] != first[0]
    assert second[1] == first[1]
    assert choose_ports(file, second[1], count=2)[0] == second[1]
    for damage in ("no number", "1 2 3", "70000 -1", ""):
        file.write_text(damage)
        assert len(set(choose_ports(file, 0, count=2)) & set(QUIET_PORTS)) == 2


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServiceRefused, match=rf"port {port} on 127\.0\.0\.1 is taken: stop what listens there"):
            choose_ports(tmp_path / "ports", port)
