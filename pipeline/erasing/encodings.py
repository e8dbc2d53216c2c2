"""The forms in which a template may have been left somewhere: numbers of every usual width, and text made of them."""

import base64
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


def forms(vector: Vector) -> Mapping[str, bytes]:
    """A template (d,), float32, in every form that is searched, by the form's name."""
    raw = vector.astype("<f4").tobytes()
    return {
        "float32": raw,
        "float32 big-endian": vector.astype(">f4").tobytes(),
        "float16": vector.astype("<f2").tobytes(),
        "float64": vector.astype("<f8").tobytes(),
        "int8 of the range -1..1": np.round(vector * 127).clip(-128, 127).astype(np.int8).tobytes(),
        "int8 of its own range": _full_range(vector),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        **_base64(raw),
        **_json(vector),
    }


def _full_range(vector: Vector) -> bytes:
    largest = float(np.abs(vector).max()) or 1.0
    return np.round(vector * (127 / largest)).clip(-128, 127).astype(np.int8).tobytes()


def _base64(raw: bytes) -> dict[str, bytes]:
    """Base64 of the bytes behind 0, 1 and 2 others, less the characters that depend on those and on what follows."""
    found = {}
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw)
        inner = text[4 if shift else 0 : -4]
        found[f"base64 at {shift}"] = inner
        found[f"base64url at {shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return found


def _json(vector: Vector) -> dict[str, bytes]:
    """The numbers as text: as Python writes the doubles of them, and as few digits as tell the floats apart."""
    doubles = [repr(float(each)) for each in vector]
    floats = [np.format_float_positional(each, unique=True, trim="0") for each in vector]
    return {
        f"JSON of {name}, '{between}'": between.join(texts).encode()
        for name, texts in (("doubles", doubles), ("floats", floats))
        for between in (",", ", ")
    }


def read_vectors(name: str, content: bytes) -> list[Vector]:
    """The vectors of a file that somebody gives: JSON, one list of numbers or a list of such lists.

    ValueError, whose text quotes nothing of the file, when it holds something else or a vector of fewer than 64
    numbers, in which chance could find what is not there.
    """
    try:
        given = json.loads(content)
        rows = np.atleast_2d(np.array(given, np.float32))
    except (ValueError, TypeError, UnicodeDecodeError):
        raise ValueError(f"{name} holds no vectors: give JSON, a list of numbers or a list of such lists") from None
    if rows.ndim != 2 or rows.shape[1] < 64 or not np.isfinite(rows).all():
        raise ValueError(f"{name} holds no vectors of at least 64 finite numbers")
    return list(rows)
