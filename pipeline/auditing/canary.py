"""The negative control: a known person is enrolled, found wherever it must be, deleted, and looked for again.

The person is drawn, a template that no face has, in a collection of its own. What was not found while it lived cannot
be said to be gone afterwards: then the audit is blind there.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.auditing.files import looked
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import CONTROL, IN_THE_CLEAR, Line, Verdict
from pipeline.erasing.bounds import KEY_STORE, MILVUS
from pipeline.erasing.encodings import Vector, forms
from pipeline.erasing.search import Needle, Search
from pipeline.operations import collections, persons
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import Box, Recognition
from pipeline.topology import COLLECTIONS, COMMANDS, OPERATIONS, PERSONS, TEMPLATES

IN_KAFKA = (COMMANDS, COLLECTIONS, PERSONS, TEMPLATES, OPERATIONS)


@dataclass(frozen=True, slots=True)
class Canary:
    """An enrolled person: its place, its key (60 bytes, wrapped), its template, and how Milvus holds that.

    `gallery_kid` is the key of its collection.
    """

    scope: str
    person_id: str
    face_id: str
    kid: str
    gallery_kid: str
    wrapped: bytes
    template: Vector
    stored: Vector | None = None

    @property
    def ids(self) -> Mapping[str, str]:
        """By topic, the id of it that a record there has."""
        of_key = dict.fromkeys((COMMANDS.name, PERSONS.name, TEMPLATES.name), self.kid)
        return of_key | {COLLECTIONS.name: self.gallery_kid, OPERATIONS.name: self.person_id}


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the stores' files are; None where they are on another machine."""

    home: Path
    kafka: KafkaFiles | None
    milvus: Path | None
    keys: Path | None


async def enrolled(client: Client, recognition: Recognition, dimension: int, wrapped: Callable[[str], bytes]) -> Canary:
    """Enrol a drawn person in a new PersonGroup, by the operations that everybody uses."""
    drawn = np.random.default_rng(secrets.randbits(128)).standard_normal(dimension)
    template: Vector = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    scope = f"persongroup/audit-canary-{secrets.token_hex(8)}"
    await collections.add(client, scope, recognition=recognition, name="canary", request_id=client.new_id())
    await client.catch_up()
    portrait = Portrait(Box(0, 0, 200, 200), 1.0, template)
    person_id = await persons.add(
        client, scope, "canary", [portrait], recognition=recognition, request_id=client.new_id()
    )
    await client.catch_up()
    shown = persons.shown(client, scope, person_id)
    kid, gallery_kid = shown.person.kid, collections.existing(client, scope).name.kid
    return Canary(scope, person_id, shown.faces[0], kid, gallery_kid, await asyncio.to_thread(wrapped, kid), template)


def as_stored(canary: Canary, stored: Vector | None) -> Canary:
    """The canary with what Milvus answers for its template."""
    return replace(canary, stored=stored)


async def deleted(client: Client, canary: Canary) -> None:
    """Forget the person, and then its collection."""
    await persons.delete(client, canary.scope, canary.person_id, request_id=client.new_id())
    await collections.delete(client, canary.scope, request_id=client.new_id())


def found(canary: Canary, folders: Folders, stores: Sequence[str]) -> set[str]:
    """In which of the stores the canary is. Blocks; reads them from end to end."""
    there = set()
    ids = {store: canary.ids[store] for store in stores if store in canary.ids}
    if ids and folders.kafka is not None:
        where = folders.kafka.where(set(ids.values()))
        there |= {store for store, each in ids.items() if each in where.get(store, ())}
    # By the vector alone: to find the id of its key beside it would prove nothing about seeing vectors.
    if MILVUS in stores and canary.stored is not None and _holds(folders.milvus, _needles("stored", canary.stored)):
        there.add(MILVUS)
    if KEY_STORE in stores and _holds(folders.keys, [Needle("wrapped key", canary.wrapped)]):
        there.add(KEY_STORE)
    return there


def in_the_clear(canary: Canary, folders: Folders) -> Line:
    """Whether any file holds the living template itself, in whatever form; Milvus may hold it under its rotation."""
    roots = [folders.home]
    if folders.kafka is not None:
        roots += [data for data in folders.kafka.data if not data.is_relative_to(folders.home)]
    needles = _needles("", canary.template)
    seen = [each for root in roots for each in looked(root, Search(needles))]
    holding, unread = [each for each in seen if each.finds], [each for each in seen if each.unread]
    if holding:
        first = holding[0]
        text = f"a living template stands in {len(holding)} files in the clear, such as {first.path}, "
        return _clear(Verdict.FAIL, text + f"as {first.finds[0].name}")
    if unread:
        first = unread[0]
        text = f"{len(unread)} files could not be read, such as {first.path}: {first.unread}"
        return _clear(Verdict.CANNOT_TELL, text)
    return _clear(Verdict.PASS, "no file holds the living template as it is")


def _clear(verdict: Verdict, text: str) -> Line:
    return Line(check=CONTROL, subject=IN_THE_CLEAR, verdict=verdict, text=text)


def _needles(kind: str, vector: Vector) -> list[Needle]:
    return [Needle(f"{kind} {name}".strip(), text) for name, text in forms(vector).items()]


def _holds(root: Path | None, needles: Sequence[Needle]) -> bool:
    return root is not None and any(each.finds for each in looked(root, Search(needles)))
