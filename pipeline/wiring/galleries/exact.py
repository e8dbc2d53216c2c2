"""A gallery in memory: every template of a gallery in blocks of rows, compared one by one. Exact, and gone with us.

A block is never changed, only replaced. So a search looks at the blocks as they were when it began, in any thread,
while the view goes on; and a forgotten template is out of memory once the searches that saw it are over.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.vectors import Metric, VectorRefused, check_vectors
from models.catalogue import Catalogue
from pipeline.changes import Change, Put
from pipeline.galleries import Candidate, Searched
from pipeline.records import Template
from pipeline.views import LiveSet
from pipeline.wiring.comparison import similarities

ROWS = 256
MOST = 1 << 20

Open = Callable[[Template], NDArray[np.float32] | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a row's template is, on `templates` and to whoever searches."""

    key: str
    persisted_face_id: str
    person_id: str | None
    kid: str


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Up to ROWS entries, and their vectors (n, dimension)."""

    entries: tuple[_Entry, ...]
    vectors: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class _Shelf:
    """One gallery of one pack: its blocks, where each template stands, and what is still to be opened, by key."""

    blocks: list[_Block] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    roomy: set[int] = field(default_factory=set)
    awaiting: dict[str, Template] = field(default_factory=dict)

    def put(self, entry: _Entry, vector: NDArray[np.float32]) -> None:
        row = vector[None]
        if self.roomy:
            place = next(iter(self.roomy))
            block = self.blocks[place]
            self.blocks[place] = _Block((*block.entries, entry), np.concatenate((block.vectors, row)))
        else:
            place = len(self.blocks)
            self.blocks.append(_Block((entry,), row.copy()))
        self._settle(place)
        self.places[entry.key] = place

    def forget(self, key: str) -> None:
        self.awaiting.pop(key, None)
        place = self.places.pop(key, None)
        if place is None:
            return
        block = self.blocks[place]
        kept = [index for index, entry in enumerate(block.entries) if entry.key != key]
        self.blocks[place] = _Block(tuple(block.entries[index] for index in kept), block.vectors[kept])
        self._settle(place)

    def _settle(self, place: int) -> None:
        if len(self.blocks[place].entries) < ROWS:
            self.roomy.add(place)
        else:
            self.roomy.discard(place)


@dataclass(slots=True, eq=False)
class ExactGallery:
    """Follows `templates` by `apply`, opens what is new at the next search; thread-safe.

    `metric` is a pack's. A template that does not open, or that no model made, is not in it.
    """

    open_template: Open
    metric: Callable[[str], Metric]
    _shelves: dict[tuple[str, str], _Shelf] = field(default_factory=dict)
    _homes: dict[str, tuple[str, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def following(cls, live: LiveSet, open_template: Open, catalogue: Catalogue) -> "ExactGallery":
        """One of everything that the live set shows now, and of every change of it from now on."""
        gallery = cls(open_template, lambda pack: catalogue.pack(pack).metric)
        for key, template in live.templates.items():
            gallery.apply(Put(key, template))
        live.hear_templates(gallery.apply)
        return gallery

    @property
    def engine(self) -> str:
        return "exact"

    @property
    def most(self) -> int:
        return MOST

    def apply(self, change: Change[Template]) -> None:
        """Take one change of `templates` into account. Never waits: keys are asked by whoever searches."""
        with self._lock:
            home = self._homes.pop(change.key, None)
            # A template that never opened may have outlived its shelf.
            if home is not None and (shelf := self._shelves.get(home)) is not None:
                shelf.forget(change.key)
                if not shelf.places and not shelf.awaiting:
                    del self._shelves[home]
            if isinstance(change, Put):
                template = change.value
                home = template.collection, template.recognition.pack
                self._shelves.setdefault(home, _Shelf()).awaiting[change.key] = template
                self._homes[change.key] = home

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        metric = self.metric(where.pack)
        check_vectors(probes, probes.shape[-1], metric)
        shelf = self._shelves.get((where.uid, where.pack))
        if shelf is None:
            return [[] for _ in probes]
        self._open(shelf, metric)
        with self._lock:
            blocks = [block for block in shelf.blocks if block.entries]
        persons = None if among is None else frozenset(among)
        if persons is not None:
            blocks = [block for block in (_masked(each, persons) for each in blocks) if block.entries]
        return _best(blocks, probes, limit, metric)

    def _open(self, shelf: _Shelf, metric: Metric) -> None:
        while True:
            with self._lock:
                key, template = next(iter(shelf.awaiting.items()), (None, None))
            if key is None or template is None:
                return
            # Without the lock, which the event loop may want: keys lie on a disk.
            vector = self._sound(template, metric)
            with self._lock:
                if shelf.awaiting.get(key) is not template:
                    continue
                del shelf.awaiting[key]
                if vector is not None:
                    kid = template.vector.kid
                    shelf.put(_Entry(key, template.persisted_face_id, template.person_id, kid), vector)

    def _sound(self, template: Template, metric: Metric) -> NDArray[np.float32] | None:
        vector = self.open_template(template)
        try:
            if vector is not None:
                check_vectors(vector[None], len(vector), metric)
        except VectorRefused:
            return None
        return vector


def _masked(block: _Block, persons: frozenset[str]) -> _Block:
    kept = [index for index, entry in enumerate(block.entries) if entry.person_id in persons]
    return _Block(tuple(block.entries[index] for index in kept), block.vectors[kept])


def _best(blocks: list[_Block], probes: NDArray[np.float32], limit: int, metric: Metric) -> list[list[Candidate]]:
    ends = list(accumulate(len(block.entries) for block in blocks))
    if not ends:
        return [[] for _ in probes]
    alike = np.concatenate([similarities(metric, probes, block.vectors) for block in blocks], axis=1)
    wanted = min(limit, ends[-1])

    def entry(row: int) -> _Entry:
        place = bisect_right(ends, row)
        # Negative: counted from the block's end.
        return blocks[place].entries[row - ends[place]]

    return [[_candidate(entry(int(i)), row[i]) for i in _leading(row, wanted)] for row in alike]


def _leading(row: NDArray[np.float32], wanted: int) -> NDArray[Any]:
    """The indices of the greatest, the greatest first."""
    leading = np.argpartition(-row, wanted - 1)[:wanted]
    return leading[np.argsort(-row[leading], kind="stable")]


def _candidate(entry: _Entry, similarity: np.float32) -> Candidate:
    return Candidate(entry.persisted_face_id, entry.person_id, entry.kid, float(similarity))
