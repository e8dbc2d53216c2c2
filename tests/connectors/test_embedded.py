"""Whatever server we start: one to a folder, ready or a reason why not, and nothing left of a start that failed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from connectors import ServiceRefused, ServiceUnavailable, embedded
from connectors.embedded import EmbeddedServer, held, last_line, until_available, until_former_left
from connectors.loopback import LOOPBACK, choose_ports

WEB = "import sys; from http.server import test; test(bind=sys.argv[1], port=int(sys.argv[2]))"


def ask(port: int) -> None:
    connection = HTTPConnection(LOOPBACK, port, timeout=2.0)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
    except OSError as error:
        raise ServiceUnavailable("no answer") from error
    finally:
        connection.close()


class WebServer(EmbeddedServer):
    """A real server that starts at once; `code` is what its Python runs, `question` what it is ready to answer."""

    def __init__(self, folder: Path, code: str = WEB, question: Callable[[int], None] = ask) -> None:
        super().__init__("The web", folder, lock=folder / ".lock", log=folder / "log")
        self._code = code
        self._question = question

    async def _launch(self) -> str:
        (port,) = choose_ports(self._folder / "port", 0)
        command = [sys.executable, "-c", self._code, LOOPBACK, str(port)]
        await self._run(command, partial(until_available, partial(self._question, port)))
        return f"http://{LOOPBACK}:{port}"


def test_a_held_folder_names_its_holder_and_is_private(tmp_path: Path) -> None:
    hold = partial(held, tmp_path / "a" / "b", tmp_path / "lock", "The web")
    with hold(), pytest.raises(ServiceRefused, match=rf"b is used by process {os.getpid()}: stop it"), hold():
        pass
    with hold():
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ServiceRefused, match=r"^The web's folder .*file cannot be used: File exists$"),
        held(tmp_path / "file", tmp_path / "lock", "The web"),
    ):
        pass


async def test_a_former_server_is_waited_for_and_at_last_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    await until_former_left(lock, fcntl.flock, "web")
    with lock.open("w") as former:
        fcntl.flock(former, fcntl.LOCK_EX)
        waiting = asyncio.create_task(until_former_left(lock, fcntl.flock, "web"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        fcntl.flock(former, fcntl.LOCK_UN)
        await asyncio.wait_for(waiting, 5)
        fcntl.flock(former, fcntl.LOCK_EX)
        monkeypatch.setattr(embedded, "FORMER_SECONDS", 0.2)
        with pytest.raises(ServiceRefused, match=rf"another web uses {tmp_path} and does not leave: find it"):
            await until_former_left(lock, fcntl.flock, "web")


def test_the_last_line_that_says_something() -> None:
    assert last_line("one\n two \n\n") == "two"
    assert last_line("\n") == "it wrote nothing"
    assert len(last_line("x" * 1000)) == 300


async def test_it_runs_is_killed_and_starts_again_where_it_was(tmp_path: Path) -> None:
    server = WebServer(tmp_path / "web")
    assert (server.running(), server.pid) == (False, None)
    with pytest.raises(RuntimeError, match="The web was never started"):
        await server.wait()
    address = await server.start()
    try:
        with pytest.raises(RuntimeError, match="The web is running already"):
            await server.start()
        pid = server.pid
        assert pid is not None
        assert WEB in psutil.Process(pid).cmdline()
        os.kill(pid, signal.SIGKILL)
        assert await server.wait() == 128 + signal.SIGKILL
        assert (server.running(), server.pid) == (False, None)
        assert await server.start() == address
    finally:
        await server.stop()
    assert not server.running()
    await server.stop()


async def test_a_folder_has_one_server(tmp_path: Path) -> None:
    first, second = WebServer(tmp_path / "web"), WebServer(tmp_path / "web")
    await first.start()
    try:
        with pytest.raises(ServiceRefused, match=rf"web is used by process {os.getpid()}: stop it"):
            await second.start()
        assert first.running()
        assert not second.running()
    finally:
        await first.stop()
    await second.start()
    await second.stop()


def refuse(port: int) -> None:
    raise ServiceRefused(f"port {port} speaks another language")


def never(port: int) -> None:
    raise ServiceUnavailable("not yet")


@pytest.mark.parametrize(
    ("code", "question", "refusal"),
    [
        ("raise SystemExit('no such page')", ask, r"^The web ended while starting: no such page \(see .*log\)$"),
        (WEB, refuse, r"^port \d+ speaks another language$"),
        (WEB, never, r"^The web did not become ready within 1 s: see .*log$"),
    ],
)
async def test_a_start_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, question: Callable[[int], None], refusal: str
) -> None:
    if question is never:
        monkeypatch.setattr(embedded, "READY_SECONDS", 1.0)
    server = WebServer(tmp_path / "web", code, question)
    with pytest.raises((ServiceRefused, ServiceUnavailable), match=refusal):
        await server.start()
    assert not server.running()
    with held(tmp_path / "web", tmp_path / "web" / ".lock", "The web"):
        pass


async def test_a_start_given_up_leaves_nothing(tmp_path: Path) -> None:
    server = WebServer(tmp_path / "web", question=never)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(server.start(), 0.5)
    assert not server.running()
    with held(tmp_path / "web", tmp_path / "web" / ".lock", "The web"):
        pass
