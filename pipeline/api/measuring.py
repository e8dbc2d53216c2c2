"""The models, for one request at a time, and few enough waiting before it that all their images fit in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.api.errors import too_often
from pipeline.operations.detection import Observer
from pipeline.operations.photos import Finding, Portrait
from pipeline.records import Recognition

# Each holds an image of up to 6 MB, and the one in work its pixels.
MOST_WAITING: Final = 16


class Measuring:
    """Lends the models. `load` makes those of a recognition: it blocks, and is called in a thread. One event loop."""

    def __init__(self, load: Callable[[Recognition], Observer], *, waiting: int = MOST_WAITING) -> None:
        self._load = load
        self._waiting = waiting
        self._taken = 0
        self._one = asyncio.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for an image; Problem 429 when all are taken."""
        if self._taken >= self._waiting:
            raise too_often(1.0)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    @asynccontextmanager
    async def models(self, finder: str, recognition: Recognition) -> AsyncIterator[Observer]:
        """Alone with the models that find faces with the pack `finder`, and measure them as `recognition` says."""
        async with self._one:
            measuring = await asyncio.to_thread(self._load, recognition)
            if finder == recognition.pack:
                yield measuring
            else:
                finding = await asyncio.to_thread(self._load, Recognition(finder, recognition.name))
                yield Paired(finding, measuring)


@dataclass(frozen=True, slots=True)
class Paired:
    """Faces found by one pack and measured by another: landmarks mean the same in all of them."""

    finder: Observer
    measurer: Observer

    @property
    def recognition(self) -> Recognition:
        return self.measurer.recognition

    @property
    def minimum_face(self) -> int:
        return self.measurer.minimum_face

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        return self.measurer.decode(content)

    def find(self, image: NDArray[np.uint8]) -> Sequence[Finding]:
        return self.finder.find(image)

    def attributes(self, image: NDArray[np.uint8], face: Finding, wanted: frozenset[str]) -> Mapping[str, Any]:
        return self.measurer.attributes(image, face, wanted)

    def portray(self, image: NDArray[np.uint8], face: Finding) -> Portrait:
        return self.measurer.portray(image, face)
