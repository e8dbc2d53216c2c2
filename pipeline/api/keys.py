"""The two access keys of the API, in one file: two, so that callers can be moved to a fresh one before the old ends."""

import hmac
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from pipeline.home import HomeError, replace

log = logging.getLogger(__name__)

OWNER_ALONE: Final = 0o600
KEY_BYTES: Final = 16
KEY_LENGTHS: Final = range(16, 129)
Number = Literal[1, 2]


class ApiKeys:
    """The keys of a file, read again whenever the file changes. May be asked for every request."""

    def __init__(self, file: Path) -> None:
        """Draw two keys where there is no file yet; HomeError when it cannot be made, or does not hold two keys."""
        self.file = file
        created(file)
        self._seen = _stamp(file)
        self._keys: tuple[str, ...] = read(file)

    def number_of(self, given: str) -> int | None:
        """Which key this is, 1 or 2, or None; tells nothing about the keys by its time."""
        text = given.encode("utf-8", "surrogateescape")
        # All of them, always: to stop at the first that fits would tell which one it was.
        matches = [hmac.compare_digest(key.encode(), text) for key in self._current()]
        return matches.index(True) + 1 if any(matches) else None

    def _current(self) -> tuple[str, ...]:
        with suppress(FileNotFoundError):
            if (stamp := _stamp(self.file)) == self._seen:
                return self._keys
            self._seen = stamp
        try:
            self._keys = read(self.file)
        except HomeError as error:
            # Whoever broke or removed the file meant to end something: nobody comes in until it is whole again.
            log.error("the access keys cannot be read, nobody is let in: %s", error)  # noqa: TRY400
            self._keys = ()
        return self._keys


def created(file: Path) -> None:
    """Make the file with two fresh keys (32 hex digits each), mode 0600, where there is none."""
    if file.exists():
        return
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(draft, _written((_fresh(), _fresh())), OWNER_ALONE)
        # Two first processes may race: the link lets one of them win, and both read what won.
        with suppress(FileExistsError):
            os.link(draft, file)
    except OSError as error:
        raise HomeError(f"the access keys {file} cannot be made: {error.strerror}; choose another keys_file") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def read(file: Path) -> tuple[str, str]:
    """Both keys, the first one first; HomeError when there are not two usable ones."""
    try:
        lines = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise HomeError(
            f"the access keys {file} cannot be read ({type(error).__name__}); check path and rights"
        ) from None
    if len(lines) != 2 or any(len(line) not in KEY_LENGTHS for line in lines):
        raise HomeError(
            f"{file} does not hold two keys of {KEY_LENGTHS.start} to {KEY_LENGTHS.stop - 1} characters, one a line; "
            "restore it, or remove it to have new ones drawn"
        )
    return lines[0], lines[1]


def rotate(file: Path, number: Number) -> str:
    """Replace one of the keys by a fresh one, which is returned; running processes take it up by themselves."""
    keys = list(read(file))
    keys[number - 1] = _fresh()
    replace(file, _written(keys), OWNER_ALONE)
    return keys[number - 1]


def _fresh() -> str:
    return secrets.token_hex(KEY_BYTES)


def _written(keys: tuple[str, ...] | list[str]) -> bytes:
    return "".join(f"{key}\n" for key in keys).encode()


def _stamp(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size
