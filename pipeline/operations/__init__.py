"""What the API and the CLI can ask for: as a library, without a terminal and without HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """Somebody asked for what cannot be: one line with the thing, the value and the cure; `code` is the Face API's."""

    def __init__(self, message: str, code: str = "BadArgument") -> None:
        super().__init__(message)
        self.code = code


class Forgotten(Exception):
    """The key of what should be changed is destroyed: it was deleted, and the view will say so in a moment."""


@contextmanager
def still_there(code: str, message: str) -> Iterator[None]:
    """Refuse, as if the view said so already, where a key turns out to be destroyed."""
    try:
        yield
    except Forgotten:
        raise Refused(message, code) from None


class Unanswered(Exception):
    """The outcome of a command is not known yet: it may still be carried out, and the same request id finds it."""
