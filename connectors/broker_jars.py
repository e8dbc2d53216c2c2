"""The Java archives of Apache Kafka: fetched once, and never run unless each one is the pinned one.

`kafka_jars.sha256` is the closure of `org.apache.kafka:kafka_2.13:4.3.1` and `org.slf4j:slf4j-simple:1.7.36` as jgo 3.2
resolved it, in the form that `sha256sum -c` reads inside a Maven repository. It is the lock: nothing is resolved at run
time, so no other archive can slip in.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import requests
from filelock import FileLock
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from connectors import ServiceRefused

PINNED = Path(__file__).with_name("kafka_jars.sha256")
DOWNLOADS_AT_ONCE = 4
HTTP_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True, slots=True)
class PinnedJar:
    """One archive: its path inside a Maven repository, and the sha256 of its bytes in hexadecimal."""

    path: PurePosixPath
    sha256: str

    def found_in(self, folder: Path) -> Path | None:
        """The archive in `folder`, which is laid out as a Maven repository or flat; None if it is not there."""
        candidates = (folder / self.path, folder / self.path.name)
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def is_intact(self, file: Path) -> bool:
        """Whether `file` holds exactly the pinned bytes."""
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256


def pinned_jars() -> list[PinnedJar]:
    """Every archive of the broker, in the order of its class path."""
    pairs = (line.split() for line in PINNED.read_text(encoding="ascii").splitlines())
    return [PinnedJar(PurePosixPath(path), sha256) for sha256, path in pairs]


def class_path(folder: Path) -> list[Path]:
    """The verified archives in `folder`, a Maven repository or a flat folder of jars.

    Raises ServiceRefused naming the first archive that is missing or is not the pinned one.
    """
    files = []
    for jar in pinned_jars():
        file = jar.found_in(folder)
        if file is None:
            raise ServiceRefused(
                f"Kafka's jar {jar.path.name} is not in {folder}: fetch the jars, or copy such a folder"
            )
        if not jar.is_intact(file):
            raise ServiceRefused(
                f"Kafka's jar {file} has a wrong checksum (not {jar.sha256}): delete it and fetch it again"
            )
        files.append(file.resolve())
    return files


def fetch_jars(folder: Path, progress: Callable[[str], None] | None = None, *, mirror: str | None = None) -> Path:
    """Make `folder` hold every pinned archive, downloading what is missing or damaged; returns `folder`.

    `mirror` is the URL of a Maven repository to ask; without it jgo's own configuration decides, and that is the
    central repository unless the user says otherwise. Two processes may call it at once. A complete folder is only
    verified, so it may be read-only. Raises ServiceRefused: no network, disk full, not writable, wrong checksum.
    """
    if not _missing(folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            _download(_missing(folder), folder, _repositories(mirror), progress or (lambda _: None))
    except requests.RequestException as error:
        raise ServiceRefused(
            f"Kafka's jars could not be fetched ({type(error).__name__}): check the network, or give a folder of jars"
        ) from error
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise ServiceRefused(
            f"Kafka's jars cannot be kept in {folder}: {reason}; make 60 MB of room or choose another folder"
        ) from error
    return folder


def _missing(folder: Path) -> list[PinnedJar]:
    def has(jar: PinnedJar) -> bool:
        file = jar.found_in(folder)
        return file is not None and jar.is_intact(file)

    return [jar for jar in pinned_jars() if not has(jar)]


def _repositories(mirror: str | None) -> dict[str, str]:
    if mirror is not None:
        return {"mirror": mirror.rstrip("/")}
    return {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories


def _download(
    jars: list[PinnedJar], folder: Path, repositories: dict[str, str], progress: Callable[[str], None]
) -> None:
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool:
        arriving = [pool.submit(_download_one, jar, folder, repositories) for jar in jars]
        try:
            for count, arrived in enumerate(as_completed(arriving), start=1):
                progress(f"{count} of {len(jars)} jars: {arrived.result()}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@retry(
    retry=retry_if_exception_type((requests.ConnectionError, requests.Timeout)),
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(max=5),
    reraise=True,
)
def _download_one(jar: PinnedJar, folder: Path, repositories: dict[str, str]) -> str:
    # jgo takes a file that a broken download left behind for the archive itself: each attempt gets an empty repository.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as scratch:
        context = MavenContext(repo_cache=Path(scratch), remote_repos=repositories, timeout=HTTP_TIMEOUT)
        *group, name, version, _ = jar.path.parts
        try:
            file = context.project(".".join(group), name).at_version(version).artifact().resolve()
        except RuntimeError as error:
            raise ServiceRefused(
                f"Kafka's jar {jar.path.name} is in none of {sorted(repositories)}: check the mirror's address"
            ) from error
        if not jar.is_intact(file):
            raise ServiceRefused(
                f"Kafka's jar {jar.path.name} came with a wrong checksum and was thrown away: use another mirror"
            )
        target = folder / jar.path
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    return jar.path.name
