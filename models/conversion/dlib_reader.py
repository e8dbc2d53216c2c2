"""Reads dlib's portable serialisation, so that dlib itself (a compiler, minutes of building) is not needed.

Format as in dlib 19.24, serialize.h and cuda/tensor.h: an integer is a control byte (low nibble: number of bytes, top
bit: sign) and little-endian bytes; a real number is an integer mantissa and an integer exponent of two; a tensor is a
version, four sizes and raw little-endian float32.
"""

from collections.abc import Callable
from math import ldexp, prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models import ModelError

Item = TypeVar("Item")

INFINITE_OR_NAN = 32000  # dlib writes exponents from here on for values that are no numbers


class DlibReader:
    """A cursor over the bytes of one .dat file; every method consumes what it returns."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def take(self, length: int) -> bytes:
        """The next bytes. Raises ModelError where the file ends before."""
        part = self._content[self._position : self._position + length]
        if len(part) < length:
            raise ModelError("the dlib file ends too early: fetch it again")
        self._position += length
        return part

    def integer(self) -> int:
        (control,) = self.take(1)
        value = int.from_bytes(self.take(control & 0x0F), "little")
        return -value if control & 0x80 else value

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if exponent >= INFINITE_OR_NAN:
            raise ModelError("the dlib file holds a weight that is not a finite number: fetch it again")
        return ldexp(mantissa, exponent)

    def flag(self) -> bool:
        return self.take(1) == b"1"

    def text(self) -> str:
        return self.take(self.integer()).decode("latin-1")

    def version(self, *known: int) -> int:
        found = self.integer()
        if found not in known:
            raise ModelError(f"the dlib file has an object of version {found}, known are {known}: use the pinned file")
        return found

    def tensor(self) -> NDArray[np.float32]:
        """Flat: dlib's four sizes say nothing that the layer's own fields do not say better."""
        self.version(2)
        count = prod(self.integer() for _ in range(4))
        return np.frombuffer(self.take(4 * count), "<f4")

    def shape(self) -> tuple[int, ...]:
        """An alias tensor: the sizes of a window into another tensor."""
        self.version(1)
        return tuple(self.integer() for _ in range(4))

    def sequence(self, item: Callable[[], Item]) -> list[Item]:
        return [item() for _ in range(self.integer())]

    def matrix(self) -> NDArray[np.float32]:
        """Flat, row by row; dlib writes the sizes negated to mark its newer format."""
        count = abs(self.integer()) * abs(self.integer())
        return np.array([self.real() for _ in range(count)], np.float32)

    def at_end(self) -> bool:
        return self._position == len(self._content)
