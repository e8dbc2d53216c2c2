"""Verify: are two faces one person's, or is a face this person's?"""

import asyncio
from dataclasses import dataclass

from pipeline.operations import Refused
from pipeline.operations.client import Client
from pipeline.operations.persons import existing_person, gallery
from pipeline.operations.recogniser import SAME_PERSON, Recogniser, of_one_recognition


@dataclass(frozen=True, slots=True)
class Verdict:
    """How sure (0..1) that it is one person; identical from 0.5 on."""

    identical: bool
    confidence: float


async def faces(recogniser: Recogniser, face_id: str, other_id: str) -> Verdict:
    """Face against face. Refused: FaceNotFound; BadArgument where their models differ."""
    one, other = await recogniser.faces.opened([face_id, other_id])
    of_one_recognition(one.recognition, other.recognition)
    pack = one.recognition.pack
    similarity = recogniser.comparison.similarities(pack, one.vector[None], other.vector[None])
    return _verdict(recogniser.comparison.confidence(pack, float(similarity[0, 0])))


async def person(client: Client, recogniser: Recogniser, face_id: str, scope: str, person_id: str) -> Verdict:
    """Face against the best template of a person of `scope`: a PersonGroup, a LargePersonGroup, or the PersonDirectory.

    The templates come from the tables, so that a person can be verified as soon as the face was added. Refused:
    FaceNotFound, ..GroupNotFound, PersonNotFound, PersistedFaceNotFound (the person has none of the face's model);
    BadArgument where the collection's model is not the face's.
    """
    await client.catch_up()
    existing_person(client, scope, person_id)
    (probe,) = await recogniser.faces.opened([face_id])
    of_one_recognition(gallery(client, scope).recognition, probe.recognition)
    templates = client.tables.live.templates_of(person_id)
    (candidates,) = await asyncio.to_thread(recogniser.compared, [probe], templates)
    if not candidates:
        raise Refused(
            f"the person {person_id} has no face of {probe.recognition.name}: add one first", "PersistedFaceNotFound"
        )
    return _verdict(recogniser.comparison.confidence(probe.recognition.pack, candidates[0].similarity))


def _verdict(confidence: float) -> Verdict:
    return Verdict(confidence >= SAME_PERSON, confidence)
