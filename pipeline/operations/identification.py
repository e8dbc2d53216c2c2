"""Identify: who of a gallery is it? The gallery proposes, and the live set decides once all deletions are seen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.galleries import Searched
from pipeline.operations import Refused, nearest
from pipeline.operations.client import Client
from pipeline.operations.collections import existing
from pipeline.operations.faces import OpenedFace
from pipeline.operations.nearest import Match, Search
from pipeline.operations.persons import existing_person
from pipeline.operations.recogniser import SAME_PERSON, Recogniser, of_one_recognition
from pipeline.operations.training import Trainer
from pipeline.records import DIRECTORY, GalleryKind, Recognition

# Of the Face API (face-contract).
MOST_FACES = 10
MOST_CANDIDATES = 100
CANDIDATES = 10
MOST_PERSONS = 30
EVERYBODY = ("*",)


@dataclass(frozen=True, slots=True)
class Named:
    """A candidate, and how sure (0..1) that it is this person: by the most alike of the person's templates."""

    person_id: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Identified:
    """Who a face may be, the surest first; nobody, where nobody reaches the threshold."""

    face_id: str
    candidates: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class InGroup:
    """Among the persons of one PersonGroup, LargePersonGroup or DynamicPersonGroup: `scope` is "kind/id"."""

    scope: str


@dataclass(frozen=True, slots=True)
class AmongPersons:
    """Among these 1..30 persons of the PersonDirectory, or all of them: ("*",)."""

    person_ids: tuple[str, ...]


Scope = InGroup | AmongPersons


async def identify(
    client: Client,
    recogniser: Recogniser,
    face_ids: Sequence[str],
    scope: Scope,
    *,
    most: int = CANDIDATES,
    threshold: float | None = None,
) -> list[Identified]:
    """For each of 1..10 faces, in their order, at most `most` (1..100) persons of `scope`.

    `threshold` is a confidence (0..1); without one, the model's own holds. Refused: FaceNotFound; ..GroupNotFound,
    ..GroupNotTrained, ..GroupTrainingNotFinished; PersonNotFound; BadArgument for what is out of range, and where
    models differ.
    """
    least = SAME_PERSON if threshold is None else threshold
    _check(face_ids, most, least)
    await client.catch_up()
    place = await _place(client, recogniser.trainer, scope)
    faces = await recogniser.faces.opened(face_ids)
    recognition, pack = faces[0].recognition, faces[0].recognition.pack
    of_one_recognition(place.recognition, *(face.recognition for face in faces))

    def sure(similarity: float) -> float:
        return recogniser.comparison.confidence(pack, similarity)

    search = Search(
        recogniser.gallery,
        Searched(place.kind, place.uid, pack),
        client.catch_up,
        lambda similarity: sure(similarity) >= least,
        place.among,
    )
    judge = nearest.persons(client.tables.live, place.uid, recognition, place.belongs)
    if place.among is not None and len(place.among) <= MOST_PERSONS:
        found = await _compared(client, recogniser, faces, search, judge)
    else:
        if place.kind == DIRECTORY:
            await recogniser.indexing.caught_up(client, recogniser.trainer.deployment.scale.of_scope(DIRECTORY))
        found = await search.best(np.stack([face.vector for face in faces]), most, judge)
    return [
        Identified(face.face_id, tuple(Named(each.person_id, sure(each.similarity)) for each in matches[:most]))
        for face, matches in zip(faces, found, strict=True)
    ]


async def _compared(
    client: Client, recogniser: Recogniser, faces: Sequence[OpenedFace], search: Search, judge: nearest.Judge[Match]
) -> list[list[Match]]:
    """Few persons are compared from the tables: who was added a moment ago is found, whatever the index knows."""
    live = client.tables.live
    templates = [template for person in search.among or () for template in live.templates_of(person)]
    compared = await asyncio.to_thread(recogniser.compared, faces, templates)
    await client.catch_up()
    return [judge([each for each in candidates if search.near(each.similarity)]) for candidates in compared]


def _check(face_ids: Sequence[str], most: int, least: float) -> None:
    if not 1 <= len(face_ids) <= MOST_FACES:
        raise Refused(f"{len(face_ids)} faceIds to identify: give 1 to {MOST_FACES}")
    if not 1 <= most <= MOST_CANDIDATES:
        raise Refused(f"a maxNumOfCandidatesReturned of {most}: give 1 to {MOST_CANDIDATES}")
    if not 0 <= least <= 1:
        raise Refused(f"a confidenceThreshold of {least:g}: give 0 to 1")


@dataclass(frozen=True, slots=True)
class _Place:
    """A scope, resolved: the gallery, and whom of it to look at alone; `belongs` is asked again before the answer."""

    kind: GalleryKind
    uid: str
    recognition: Recognition | None = None
    among: frozenset[str] | None = None
    belongs: Callable[[str], bool] = lambda _: True


async def _place(client: Client, trainer: Trainer, scope: Scope) -> _Place:
    live = client.tables.live
    match scope:
        case AmongPersons(person_ids=given) if given == EVERYBODY:
            return _Place(DIRECTORY, DIRECTORY)
        case AmongPersons(person_ids=given):
            if not 1 <= len(given) <= MOST_PERSONS:
                raise Refused(f'{len(given)} personIds: give 1 to {MOST_PERSONS}, or "*" for everybody')
            for each in given:
                existing_person(client, DIRECTORY, each)
            return _Place(DIRECTORY, DIRECTORY, among=frozenset(given))
        case InGroup(scope=named):
            if (group := existing(client, named)).kind == "dynamicpersongroup":
                members = frozenset(live.members_of(group.uid))
                return _Place(DIRECTORY, DIRECTORY, among=members, belongs=lambda each: live.is_member(group.uid, each))
            group = await trainer.required(client, named)
            return _Place(group.kind, group.uid, group.recognition)
