"""What a process says for later: JSON lines in the home, rotated, with nothing in them that could name a person.

Only the fields listed here reach the file. Of an exception its type and its frames are kept; its text only where the
class is our own, because those texts follow the house rule and a library's may quote the data it choked on.
"""

import logging
import os
import sys
import time
import traceback
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

from pipeline.home import Home
from pipeline.settings import Logs

FIELDS: Final = {
    "time": "when, UTC",
    "level": "severity",
    "process": "the process's name in the deployment",
    "logger": "the module that speaks",
    "message": "what happened",
    "exception": "type and frames of an exception",
    "stage": "a stage of the map",
    "topic": "a topic",
    "partition": "its partition",
    "offset": "a record's offset",
    "camera": "a camera's name",
    "session": "a capture session",
    "sequence": "a frame's number in its session",
    "count": "how many",
    "seconds": "how long",
    "attempts": "how often",
    "status": "an exit status, or that of an answer",
    "method": "a request's method",
    "route": "the template of its path",
    "request": "the id that the answer carries",
    "principal": "on whose behalf it came",
    "port": "a port of loopback",
    "reason": "why, from a fixed list",
}
OUR_PACKAGES: Final = frozenset({"pipeline", "connectors", "models"})
SAME_MESSAGE_SECONDS: Final = 10.0


class AllowListed(JsonFormatter):
    """A record as one JSON line of `FIELDS`."""

    def __init__(self, process: str) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "exception"},
            static_fields={"process": process},
            datefmt="%Y-%m-%dT%H:%M:%S",
        )
        self.converter = time.gmtime

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """UTC with milliseconds."""
        return f"{super().formatTime(record, datefmt)}.{int(record.msecs):03d}Z"

    def formatException(self, ei: Any) -> str:
        """Type and frames, and the text of our own exceptions."""
        return told(ei[1]) if ei[1] is not None else ""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Keep what is allowed, whatever a caller or a library attached."""
        return {name: value for name, value in log_data.items() if name in FIELDS}


def told(error: BaseException) -> str:
    """An exception without a text that could quote private data."""
    kind = type(error)
    ours = kind.__module__.partition(".")[0] in OUR_PACKAGES
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames]
    what = f"{kind.__name__}: {error}" if ours else kind.__name__
    return " > ".join((*where, what))


class NotAgain(logging.Filter):
    """Lets a library say the same thing once in ten seconds: a client without its broker says it thousands of times."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is worth a line."""
        if record.name.partition(".")[0] in OUR_PACKAGES:
            return True
        said = (record.name, str(record.msg))
        before = self._last.get(said)
        if before is not None and record.created - before < SAME_MESSAGE_SECONDS:
            return False
        if len(self._last) > 1_000:
            self._last.clear()
        self._last[said] = record.created
        return True


class PrivateFile(RotatingFileHandler):
    """A rotated file that only its owner reads."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        """On a full disk the standard handler would write a stack to standard error for every line."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def configure(home: Home, settings: Logs, process: str, *, console: bool = False) -> None:
    """Send everything this process says to `<home>/logs/<process>.jsonl`, and as plain lines to a `console`.

    Libraries are heard from warnings on. May be called once per process.
    """
    file = PrivateFile(
        home.logs / f"{process}.jsonl", maxBytes=settings.max_mb << 20, backupCount=settings.keep, delay=True
    )
    file.setFormatter(AllowListed(process))
    handlers: list[logging.Handler] = [file]
    if console:
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(logging.Formatter(f"%(asctime)s {process} %(levelname)s %(message)s", "%H:%M:%S"))
        handlers.append(plain)
    for handler in handlers:
        handler.addFilter(NotAgain())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    for package in OUR_PACKAGES:
        logging.getLogger(package).setLevel(settings.level.upper())
    logging.captureWarnings(capture=True)
