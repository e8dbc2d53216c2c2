"""A secret in a file of its own: read-only for its owner, drawn once however many processes begin together."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from connectors import ServiceRefused

OWNER_READS = 0o400


def drawn(path: Path, secret: bytes, what: str) -> bool:
    """Make the file, durably, mode 0400; False where there is one, which stays. ServiceRefused when it cannot be."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(draft, secret)
        # A link appears whole or not at all and never replaces: the loser of a race uses the winner's secret.
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise ServiceRefused(f"cannot make the {what} {path}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
        with suppress(OSError):
            sync_folder(path.parent)
    return True


def kept(path: Path, what: str, lost: str) -> bytes:
    """What the file holds. ServiceRefused with the cure where its mode is not 0400; with `lost` where there is none."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            secret = file.read()
    except FileNotFoundError:
        raise ServiceRefused(lost) from None
    except OSError as error:
        raise ServiceRefused(f"cannot read the {what} {path}: {error.strerror}") from None
    if mode != OWNER_READS:
        raise ServiceRefused(f"the {what} {path} has mode {mode:04o}, wanted 0400: run chmod 400 {path}")
    return secret


def shred(path: Path) -> None:
    """Overwrite and remove the file, if it is there."""
    with suppress(FileNotFoundError):
        path.chmod(0o600)
        with path.open("r+b", buffering=0) as file:
            file.write(bytes(path.stat().st_size))
            os.fsync(file.fileno())
        path.unlink()
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_READS)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, OWNER_READS)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
