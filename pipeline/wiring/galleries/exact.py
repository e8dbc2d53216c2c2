"""A gallery in memory: every template of a gallery in blocks of rows, compared one by one. Exact, and gone with us.

A template is written into one row and never moved or copied from there. When it is forgotten, its row is zeroed in
place, before the view goes on to tell anybody: whoever holds the block, a search under way or a debugger, sees zeros.
A search keeps the entries that it began with, in any thread, while the view goes on; so a row gets another template
only while nobody searches, lest that one be taken for the former.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
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
class _Page:
    """Whose the rows of a block are at some moment, None where a row is free; `taken` (ROWS,) says it as bits."""

    entries: tuple[_Entry | None, ...]
    taken: NDArray[np.bool_]
    vectors: NDArray[np.float32]

    def with_row(self, row: int, entry: _Entry | None) -> "_Page":
        taken = self.taken.copy()
        taken[row] = entry is not None
        return _Page((*self.entries[:row], entry, *self.entries[row + 1 :]), taken, self.vectors)

    def asked(self, persons: frozenset[str] | None) -> NDArray[np.bool_]:
        if persons is None:
            return self.taken
        return np.array([entry is not None and entry.person_id in persons for entry in self.entries], bool)


@dataclass(slots=True, eq=False)
class _Shelf:
    """One gallery of one pack: its blocks, where each template stands, what is still to be opened, and its searches."""

    blocks: list[_Page] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    used: int = 0
    free: list[int] = field(default_factory=list)
    awaiting: dict[str, Template] = field(default_factory=dict)
    searches: int = 0

    def put(self, entry: _Entry, vector: NDArray[np.float32]) -> None:
        if self.free and not self.searches:
            place = self.free.pop()
        else:
            place, self.used = self.used, self.used + 1
            if place == ROWS * len(self.blocks):
                block = np.zeros((ROWS, len(vector)), np.float32)
                self.blocks.append(_Page((None,) * ROWS, np.zeros(ROWS, bool), block))
        page, row = self.blocks[place // ROWS], place % ROWS
        # The vector first: who sees an entry sees all of its row.
        page.vectors[row] = vector
        self.blocks[place // ROWS] = page.with_row(row, entry)
        self.places[entry.key] = place

    def forget(self, key: str) -> None:
        self.awaiting.pop(key, None)
        place = self.places.pop(key, None)
        if place is not None:
            page, row = self.blocks[place // ROWS], place % ROWS
            page.vectors[row] = 0.0
            self.blocks[place // ROWS] = page.with_row(row, None)
            self.free.append(place)


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
            shelf.searches += 1
            pages = list(shelf.blocks)
        try:
            return _best(pages, probes, limit, metric, None if among is None else frozenset(among))
        finally:
            with self._lock:
                shelf.searches -= 1

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


def _best(
    pages: list[_Page], probes: NDArray[np.float32], limit: int, metric: Metric, persons: frozenset[str] | None
) -> list[list[Candidate]]:
    """Compared where they stand, also those that are not asked for: a selection of rows would be a copy of them."""
    asked = np.concatenate([page.asked(persons) for page in pages] or [np.zeros(0, bool)])
    wanted = min(limit, int(asked.sum()))
    if not wanted:
        return [[] for _ in probes]
    alike = np.concatenate([similarities(metric, probes, page.vectors) for page in pages], axis=1)
    alike[:, ~asked] = -np.inf

    def candidates(row: NDArray[np.float32]) -> Iterator[Candidate]:
        for place in _leading(row, wanted):
            entry = pages[place // ROWS].entries[place % ROWS]
            if entry is not None:
                yield Candidate(entry.persisted_face_id, entry.person_id, entry.kid, float(row[place]))

    return [list(candidates(row)) for row in alike]


def _leading(row: NDArray[np.float32], wanted: int) -> NDArray[Any]:
    """The indices of the greatest, the greatest first."""
    leading = np.argpartition(-row, wanted - 1)[:wanted]
    return leading[np.argsort(-row[leading], kind="stable")]
