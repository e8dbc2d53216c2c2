"""What callers write about persons and collections: how long it may be, and how it is sealed."""

from typing import Final, overload

from pipeline import codec
from pipeline.operations import Refused
from pipeline.operations.client import Client
from pipeline.records import Sealed
from pipeline.topology import Topic

# Lengths of the Face API, in characters (face-contract 1.0).
NAME: Final = 128
USER_DATA: Final = 16_384
FACE_USER_DATA: Final = 1_024
CONSENT: Final = 1_024


def checked_name(name: str) -> str:
    """The name itself; Refused where it is empty, blank or too long."""
    if not name.strip() or len(name) > NAME:
        raise Refused(f"'name' of {len(name)} characters: give a name of 1 to {NAME}, not only blanks")
    return name


def checked(text: str | None, what: str, longest: int) -> str | None:
    """The text itself, None for an empty one; Refused where it is too long."""
    if text and len(text) > longest:
        raise Refused(f"'{what}' of {len(text)} characters is too long: give at most {longest}")
    return text or None


@overload
def seal(client: Client, kid: str, text: str, *, topic: Topic, key: str, field: str) -> Sealed: ...
@overload
def seal(client: Client, kid: str, text: str | None, *, topic: Topic, key: str, field: str) -> Sealed | None: ...
def seal(client: Client, kid: str, text: str | None, *, topic: Topic, key: str, field: str) -> Sealed | None:
    """The text for the field of the record `key`, None where there is none."""
    return None if text is None else codec.seal(client.keys, kid, text.encode(), topic=topic, key=key, field=field)


def opened(client: Client, sealed: Sealed | None, *, topic: Topic, key: str, field: str) -> str | None:
    """The text in the clear; None where there is none, and once its key is destroyed."""
    plain = None if sealed is None else client.unseal(sealed, topic=topic, key=key, field=field)
    return None if plain is None else plain.decode()
