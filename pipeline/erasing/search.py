"""Finds bytes wherever they stand: any run of 32 bytes of any number of texts, in one pass over what is read.

The haystack is looked at only every 16th byte, eight bytes at a time; what makes that enough is that every eight bytes
of the texts are known, at whatever place. So the cost of a gigabyte hardly depends on what is searched for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

RUN = 32  # so many bytes in a row are a find
STRIDE = 16
WORD = 8
CHUNK = 8 << 20
# 2^64 / the golden ratio: the multiplier of Knuth's multiplicative hashing (TAOCP 3, 6.4).
SPREAD = np.uint64(0x9E3779B97F4A7C15)

Words = NDArray[np.uint64]


class Needle(NamedTuple):
    """What is searched, at least 32 bytes, and how a report calls it."""

    name: str
    text: bytes


class Hit(NamedTuple):
    """A needle's name, and where in the haystack its text begins, or would if all of it stood there."""

    name: str
    begins: int


@dataclass(frozen=True, slots=True)
class _Known:
    """Every eight bytes of every needle: sorted words, and to which needle and place in it each belongs."""

    words: Words
    needles: NDArray[np.int64]
    places: NDArray[np.int64]


class Search:
    """A search for needles, which may be used for any number of haystacks."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        """ValueError for a needle shorter than 32 bytes, which chance might find."""
        if any(len(needle.text) < RUN for needle in needles):
            raise ValueError(f"a needle has fewer than {RUN} bytes")
        self._needles = needles
        self._known = _known(needles)
        bits = max(16, int(len(self._known.words) * 32).bit_length())
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[self._slots(self._known.words)] = True
        # Bits that all words of the needles have or lack: where all of them are text, most of what is not falls out.
        every, some = np.bitwise_and.reduce(self._known.words), np.bitwise_or.reduce(self._known.words)
        self._telling, self._must = ~some | every, every

    def stream(self, stream: BinaryIO) -> Iterator[Hit]:
        """Every occurrence in what the stream still gives, each once; memory is bounded."""
        return self.pieces(iter(lambda: stream.read(CHUNK), b""))

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[Hit]:
        """The same in pieces that follow each other."""
        told: set[Hit] = set()
        for start, chunk in _chunks(pieces):
            for hit in self._chunk(chunk, start):
                if hit not in told:
                    told.add(hit)
                    yield hit

    def _slots(self, words: Words) -> Words:
        slots: Words = (words * SPREAD) >> self._shift
        return slots

    def _likely(self, words: Words) -> NDArray[np.intp]:
        if self._telling == 0:
            return np.flatnonzero(self._table[self._slots(words)])
        fit = np.flatnonzero((words & self._telling) == self._must)
        return fit[self._table[self._slots(words[fit])]]

    def _chunk(self, chunk: bytes, start: int) -> Iterator[Hit]:
        if not self._needles or len(chunk) < RUN:
            return
        words = np.frombuffer(chunk, "<u8", len(chunk) // WORD)[:: STRIDE // WORD]
        some = self._likely(words)
        left = np.searchsorted(self._known.words, words[some], "left")
        right = np.searchsorted(self._known.words, words[some], "right")
        for index in np.flatnonzero(right > left):
            at = int(some[index]) * STRIDE
            for entry in range(left[index], right[index]):
                needle = self._needles[self._known.needles[entry]]
                place = int(self._known.places[entry])
                if _run(chunk, at, needle.text, place) >= RUN:
                    yield Hit(needle.name, start + at - place)


def _known(needles: Sequence[Needle]) -> _Known:
    words, owners, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for number, needle in enumerate(needles):
        windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(needle.text, np.uint8), WORD)
        if len(needle.text) == RUN:
            # The whole needle has to be there, and one of its first sixteen places is looked at: none can be spared.
            telling = np.arange(STRIDE)
        else:
            # Zeros, blanks and the like stand everywhere, and tell nothing.
            telling = np.flatnonzero((windows != windows[:, :1]).any(axis=1))
        words.append(np.ascontiguousarray(windows[telling]).view("<u8").ravel())
        owners.append(np.full(len(telling), number))
        places.append(telling)
    every = np.concatenate(words)
    order = np.argsort(every, kind="stable")
    return _Known(every[order], np.concatenate(owners)[order], np.concatenate(places)[order])


def _chunks(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Pieces joined so that every run of the stream stands whole in one chunk; with the place where each begins."""
    start, kept = 0, b""
    for piece in pieces:
        chunk = kept + piece
        yield start, chunk
        # At a multiple of the stride, so that no word is passed over.
        keep = max(0, len(chunk) - 2 * RUN) // STRIDE * STRIDE
        start, kept = start + keep, chunk[keep:]


def _run(chunk: bytes, at: int, text: bytes, place: int) -> int:
    """How many bytes in a row agree around a word that does, 32 at most in either direction."""
    before = 0
    while before < RUN and before < min(at, place) and chunk[at - before - 1] == text[place - before - 1]:
        before += 1
    after = WORD
    while (
        after < RUN
        and at + after < len(chunk)
        and place + after < len(text)
        and chunk[at + after] == text[place + after]
    ):
        after += 1
    return before + after
