"""The one folder of a deployment on this machine: its data, its secrets, its logs, and who is running in it."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import psutil
from filelock import FileLock, Timeout
from platformdirs import user_data_path

from pipeline.settings import FILE

VARIABLE: Final = "FACELINE_HOME"
FOLDERS: Final = ("kafka", "milvus", "keys", "logs", "state", "temp")
SECRET_BYTES: Final = 32


class HomeError(Exception):
    """The home cannot be used; the text is one line naming the folder and the cure."""


class Process(msgspec.Struct, frozen=True, omit_defaults=True):
    """A running process of the deployment; `metrics_port` is 0 where it serves none (yet), `address` is its URL."""

    pid: int
    metrics_port: int = 0
    restarts: int = 0
    address: str = ""


class Running(msgspec.Struct, frozen=True):
    """What a supervisor says of itself. `started` is the creation time of its process, in seconds since 1970.

    `ready` says that everything was started once.
    """

    pid: int
    started: float
    bootstrap: str
    milvus_uri: str
    processes: dict[str, Process] = {}
    ready: bool = False


def default_home() -> Path:
    """`FACELINE_HOME`, or the user's data folder of this platform."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else user_data_path("faceline")


class Home:
    """A deployment's folder; only its owner may look into it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.kafka = self.path / "kafka"
        self.milvus = self.path / "milvus"
        self.keys = self.path / "keys"
        self.logs = self.path / "logs"
        self.state = self.path / "state"
        self.temp = self.path / "temp"
        self._secret = self.keys / "identifiers"
        self._running = self.path / "running.json"
        self._lock = self.path / "up.lock"

    def prepare(self) -> None:
        """Create the folders, all of mode 0700. HomeError when the path is taken, foreign, read-only or full."""
        try:
            for folder in (self.path, *(self.path / name for name in FOLDERS)):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder.stat().st_mode & 0o077:
                    folder.chmod(0o700)
        except OSError as error:
            raise HomeError(
                f"the home {self.path} cannot be used: {error.strerror}; choose another with --home or {VARIABLE}"
            ) from None

    def wipe(self) -> list[str]:
        """Remove all that is Faceline's, settings included; the names of what else stands there and is left alone."""
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        # A service keeps its lock, port and log beside its folder, under the folder's name.
        beside = [file for name in FOLDERS for file in self.path.glob(f"{name}.*")]
        for file in (*beside, self._running, self._lock, self.path / FILE):
            file.unlink(missing_ok=True)
        left = sorted(entry.name for entry in self.path.iterdir()) if self.path.is_dir() else []
        if not left and self.path.is_dir():
            self.path.rmdir()
        return left

    def exists(self) -> bool:
        """Whether anything was ever prepared here."""
        return self.state.is_dir()

    @property
    def api_keys(self) -> Path:
        """Where the API's access keys are, unless the settings name another file."""
        return self.keys / "api-keys"

    def secret(self) -> bytes:
        """The 32 bytes from which faceIds and trackIds are derived: drawn once, mode 0400."""
        with suppress(FileNotFoundError):
            return self._checked(self._secret.read_bytes())
        self.prepare()
        draft = self._secret.with_name(f"identifiers.{os.getpid()}.{secrets.token_hex(4)}")
        _write(draft, secrets.token_bytes(SECRET_BYTES), 0o400)
        try:
            # Two first processes may race: the link lets one of them win, and both read what won.
            with suppress(FileExistsError):
                os.link(draft, self._secret)
        finally:
            draft.unlink()
        return self._checked(self._secret.read_bytes())

    def _checked(self, secret: bytes) -> bytes:
        if len(secret) != SECRET_BYTES:
            raise HomeError(f"{self._secret} holds {len(secret)} bytes instead of {SECRET_BYTES}; restore it or purge")
        return secret

    def record(self, running: Running) -> None:
        """Say who is running here, atomically, mode 0600."""
        replace(self._running, msgspec.json.encode(running), 0o600)

    def forget_running(self) -> None:
        """Say that nobody is running here any more."""
        self._running.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """The supervisor that runs here, or None: the note of an ended process is void, even if its pid lives again."""
        try:
            running = msgspec.json.decode(self._running.read_bytes(), type=Running)
            same = abs(psutil.Process(running.pid).create_time() - running.started) < 1.0
        except (FileNotFoundError, msgspec.DecodeError, psutil.NoSuchProcess):
            return None
        if not same:
            return None
        return msgspec.structs.replace(
            running, processes={n: self._with_port(n, p) for n, p in running.processes.items()}
        )

    def announce(self, name: str, metrics_port: int, address: str = "") -> None:
        """A process says on which port of loopback its metrics are, and where it serves clients, if it does."""
        process = Process(os.getpid(), metrics_port, address=address)
        replace(self._announcement(name), msgspec.json.encode(process), 0o600)

    def _with_port(self, name: str, process: Process) -> Process:
        try:
            announced = msgspec.json.decode(self._announcement(name).read_bytes(), type=Process)
        except (FileNotFoundError, msgspec.DecodeError):
            return process
        if announced.pid != process.pid:
            return process
        return msgspec.structs.replace(process, metrics_port=announced.metrics_port, address=announced.address)

    def _announcement(self, name: str) -> Path:
        return self.state / f"{name}.process.json"

    def _empty_temp(self) -> None:
        # A child of a killed supervisor may be leaving still: an open file lives on without its name.
        for entry in self.temp.iterdir():
            with suppress(OSError):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be the one supervisor of this home; HomeError naming the pid when there is another.

        What the children of an earlier one left in `temp` is removed.
        """
        self.prepare()
        lock = FileLock(self._lock, mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            running = self.running()
            who = "another supervisor, just starting," if running is None else f"pid {running.pid}"
            raise HomeError(f"{who} already runs the home {self.path}; end it with: faceline down") from None
        try:
            self._empty_temp()
            yield
        finally:
            self.forget_running()
            lock.release()


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        _write(draft, content, mode)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
