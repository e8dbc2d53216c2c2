"""Search a gallery for as many live answers as are wanted, though it may propose what lives no more."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.galleries import Candidate, Gallery, GalleryAbsentError, ScopeTooLargeError, Searched
from pipeline.identifiers import template_key
from pipeline.operations import Refused, Unanswered
from pipeline.records import Recognition
from pipeline.views import LiveSet

T = TypeVar("T")
# What is left of a probe's candidates, best first, once the live set was asked.
Judge = Callable[[Sequence[Candidate]], list[T]]

# A person has several templates, and some of them may be stale.
LOOK_AT = 4


@dataclass(frozen=True, slots=True)
class Match:
    """A person, as alike as the most alike of the person's templates."""

    person_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Search:
    """A search that is repeated with a wider limit until it has enough.

    `catch_up` waits for every deletion that was acknowledged before; `near` says of a similarity whether it is worth
    an answer at all: it is so for none below one for which it is not.
    """

    gallery: Gallery
    where: Searched
    catch_up: Callable[[], Awaitable[None]]
    near: Callable[[float], bool] = lambda _: True
    among: frozenset[str] | None = None

    async def best(self, probes: NDArray[np.float32], wanted: int, judge: Judge[T]) -> list[list[T]]:
        """The first `wanted` of what `judge` leaves of each probe's near candidates; fewer where there are no more.

        A gallery's own `most` bounds how far a search widens. Refused where the scope is too large for the engine.
        """
        found: list[list[Candidate]] = [[] for _ in probes]
        waiting = list(range(len(probes)))
        limit = min(LOOK_AT * wanted, self.gallery.most)
        while waiting:
            answers = await proposed(self.gallery, self.where, probes[waiting], limit, self.among)
            await self.catch_up()
            wider = []
            for index, candidates in zip(waiting, answers, strict=True):
                found[index] = [each for each in candidates if self.near(each.similarity)]
                exhausted = len(found[index]) < limit or limit == self.gallery.most
                if not exhausted and len(judge(found[index])) < wanted:
                    wider.append(index)
            waiting, limit = wider, min(LOOK_AT * limit, self.gallery.most)
        return [judge(candidates)[:wanted] for candidates in found]


async def proposed(
    gallery: Gallery,
    where: Searched,
    probes: NDArray[np.float32],
    limit: int,
    among: frozenset[str] | None = None,
) -> list[list[Candidate]]:
    """What the gallery proposes; Refused where the scope is too large for it, Unanswered where it is away."""
    try:
        return await asyncio.to_thread(gallery.search, where, probes, limit, among)
    except ScopeTooLargeError as error:
        raise Refused(str(error)) from None
    except GalleryAbsentError as error:
        raise Unanswered(f"{error}: nobody can be searched for; see `faceline status`") from None


def persons(
    live: LiveSet, uid: str, recognition: Recognition, belongs: Callable[[str], bool] = lambda _: True
) -> Judge[Match]:
    """Leaves each live person of the gallery `uid` that `belongs` admits, once, by the most alike template."""

    def judge(candidates: Sequence[Candidate]) -> list[Match]:
        found: dict[str, Match] = {}
        for each in candidates:
            person = each.person_id
            if person is None or person in found or not belongs(person):
                continue
            face = each.persisted_face_id
            if not live.may_name(collection=uid, person=person, persisted_face_id=face, kid=each.kid):
                continue
            # In the PersonDirectory, templates of one pack may be of recognitions that never meet.
            if live.templates[template_key(person, face)].recognition == recognition:
                found[person] = Match(person, each.similarity)
        return list(found.values())

    return judge


def faces(live: LiveSet, uid: str) -> Judge[Candidate]:
    """Leaves the live templates of the face list `uid`."""

    def judge(candidates: Sequence[Candidate]) -> list[Candidate]:
        return [
            each
            for each in candidates
            if live.may_show(collection=uid, persisted_face_id=each.persisted_face_id, kid=each.kid)
        ]

    return judge
