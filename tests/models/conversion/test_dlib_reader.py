"""dlib's numbers, read back from an encoder written from its serialize.h."""

from math import frexp, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ModelError
from models.conversion.dlib_reader import DlibReader


def integer(value: int) -> bytes:
    magnitude = abs(value).to_bytes(8, "little").rstrip(b"\0") or b"\0"
    return bytes([len(magnitude) | (0x80 if value < 0 else 0)]) + magnitude


def real(value: float) -> bytes:
    mantissa, exponent = frexp(value)
    return integer(int(mantissa * 2**53)) + integer(exponent - 53)


@given(st.integers(-(2**62), 2**62))
def test_integers(value: int) -> None:
    reader = DlibReader(integer(value))
    assert reader.integer() == value
    assert reader.at_end()


@given(st.floats(-1e30, 1e30, allow_subnormal=False))
def test_reals(value: float) -> None:
    assert isclose(DlibReader(real(value)).real(), value, rel_tol=1e-15)


@given(st.lists(st.integers(0, 255)))
def test_sequences(values: list[int]) -> None:
    reader = DlibReader(integer(len(values)) + b"".join(integer(value) for value in values))
    assert reader.sequence(reader.integer) == values


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "ends too early"), (integer(1) + integer(32000), "not a finite number"), (integer(9), "version 9")],
)
def test_what_cannot_be_read_is_said(content: bytes, said: str) -> None:
    reader = DlibReader(content)
    with pytest.raises(ModelError, match=said):
        reader.version(2) if said.startswith("version") else reader.real()
