"""Find Similar: which faces of a list, or of an array of faceIds, look most like this one?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.galleries import Candidate, Searched
from pipeline.identifiers import template_key
from pipeline.operations import Refused, nearest
from pipeline.operations.client import Client
from pipeline.operations.collections import existing
from pipeline.operations.faces import OpenedFace
from pipeline.operations.nearest import Search
from pipeline.operations.recogniser import SAME_PERSON, Recogniser, of_one_recognition, ranked
from pipeline.records import Collection

Mode = Literal["matchPerson", "matchFace"]

# Of the Face API (face-contract).
MOST_FACES = 1000
MOST_CANDIDATES = 1000
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Similar:
    """A face that resembles the probe, and how sure (0..1) that it is the same person: a faceId or persistedFaceId."""

    face_id: str
    confidence: float


async def among_faces(
    recogniser: Recogniser,
    face_id: str,
    face_ids: Sequence[str],
    *,
    mode: Mode = "matchPerson",
    most: int = CANDIDATES,
) -> list[Similar]:
    """At most `most` (1..1000) of 1..1000 faceIds, the most alike first.

    matchPerson leaves out those below the model's threshold, matchFace does not. Refused: FaceNotFound; BadArgument
    for what is out of range, and where models differ.
    """
    _check(most)
    if not 1 <= len(face_ids) <= MOST_FACES:
        raise Refused(f"{len(face_ids)} faceIds to look among: give 1 to {MOST_FACES}")
    probe, *faces = await recogniser.faces.opened([face_id, *dict.fromkeys(face_ids)])
    of_one_recognition(probe.recognition, *(face.recognition for face in faces))
    pack = probe.recognition.pack
    vectors = np.stack([face.vector for face in faces])
    (row,) = recogniser.comparison.similarities(pack, probe.vector[None], vectors)
    similar = [
        Similar(face.face_id, recogniser.comparison.confidence(pack, float(each)))
        for face, each in sorted(zip(faces, row, strict=True), key=lambda pair: pair[1], reverse=True)
    ]
    return [each for each in similar if each.confidence >= _least(mode)][:most]


async def in_list(
    client: Client,
    recogniser: Recogniser,
    face_id: str,
    scope: str,
    *,
    mode: Mode = "matchPerson",
    most: int = CANDIDATES,
) -> list[Similar]:
    """At most `most` (1..1000) faces of a FaceList or LargeFaceList ("kind/id"), the most alike first; modes as above.

    Refused: FaceNotFound; ..FaceListNotFound, FaceListNotReady (it is empty), LargeFaceListNotTrained and
    ..TrainingNotFinished; BadArgument for what is out of range, and where models differ.
    """
    _check(most)
    await client.catch_up()
    large = scope.startswith("largefacelist/")
    collection = await recogniser.trainer.required(client, scope) if large else existing(client, scope)
    (probe,) = await recogniser.faces.opened([face_id])
    of_one_recognition(collection.recognition, probe.recognition)
    pack = probe.recognition.pack

    def sure(similarity: float) -> float:
        return recogniser.comparison.confidence(pack, similarity)

    def near(similarity: float) -> bool:
        return sure(similarity) >= _least(mode)

    if large:
        search = Search(recogniser.gallery, Searched(collection.kind, collection.uid, pack), client.catch_up, near)
        judge = nearest.faces(client.tables.live, collection.uid)
        (found,) = await search.best(probe.vector[None], most, judge)
    else:
        found = await _all_of(client, recogniser, collection, probe)
    return [Similar(each.persisted_face_id, sure(each.similarity)) for each in found if near(each.similarity)][:most]


async def _all_of(client: Client, recogniser: Recogniser, collection: Collection, probe: OpenedFace) -> list[Candidate]:
    """Every live face of a FaceList, best first. It needs no training: what the index has not yet is opened here."""
    live, uid = client.tables.live, collection.uid
    faces = set(live.faces_of(uid))
    if not faces:
        raise Refused(f"{collection.kind}/{collection.id} is empty: add a face first", "FaceListNotReady")
    where = Searched(collection.kind, uid, probe.recognition.pack)
    (found,) = await nearest.proposed(recogniser.gallery, where, probe.vector[None], len(faces))
    await client.catch_up()
    judge = nearest.faces(live, uid)
    indexed = judge(found)
    missing = set(live.faces_of(uid)) - {each.persisted_face_id for each in indexed}
    templates = [live.templates[template_key(uid, face)] for face in missing]
    (opened,) = await asyncio.to_thread(recogniser.compared, [probe], templates)
    # Between the two, a face may have been forgotten: its key says so, and the live set once more.
    return ranked([*indexed, *judge(opened)])


def _least(mode: Mode) -> float:
    return SAME_PERSON if mode == "matchPerson" else 0.0


def _check(most: int) -> None:
    if not 1 <= most <= MOST_CANDIDATES:
        raise Refused(f"a maxNumOfCandidatesReturned of {most}: give 1 to {MOST_CANDIDATES}")
