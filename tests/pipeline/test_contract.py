"""What the outside relies on: the bytes of a record, its headers, its schema and the AsyncAPI document."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from pipeline import codec, contract
from pipeline.changes import Put, Tombstone
from pipeline.drawing import arrows
from pipeline.records import Identification
from pipeline.topology import IDENTIFICATIONS, TOPICS, Deployment, Scale

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
TRACK = "0d5a34f1-6f7c-4f0e-9a33-0f5b8f1f6b11"
IDENTIFIED = Identification(
    track_id=TRACK,
    revision=2,
    camera="entrance",
    face_id="7b0f61c6-96d4-4d1e-8df2-1f8f22a2c0de",
    face_expires=NOW + timedelta(minutes=10),
    captured_at=NOW - timedelta(milliseconds=90),
    identified_at=NOW,
    expires=NOW + timedelta(hours=24),
    decision="identified",
    model="retail",
    engine="milvus",
    threshold=0.5,
    person_id="e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10",
    collection="4c1b1f5e-51a1-4c53-8f5c-6a7c8d9e0f12",
    similarity=0.75,
)
UNKNOWN = Identification(
    track_id=TRACK,
    revision=0,
    camera="entrance",
    face_id="7b0f61c6-96d4-4d1e-8df2-1f8f22a2c0de",
    face_expires=NOW,
    captured_at=NOW,
    identified_at=NOW,
    expires=NOW,
    decision="unknown",
    model="retail",
    engine="milvus",
    threshold=0.5,
)


def wire(change: Put[Identification] | Tombstone, deployment: Deployment | None = None) -> codec.Wire:
    headers = contract.cloud_event(change, deployment or Deployment(), NOW)
    return codec.encode(IDENTIFICATIONS, change, headers)


@pytest.mark.parametrize("change", [Put(TRACK, IDENTIFIED), Tombstone(TRACK)], ids=["put", "forgotten"])
def test_wire_is_what_it_was(change: Put[Identification] | Tombstone, request: pytest.FixtureRequest) -> None:
    golden = json.loads((GOLDEN / f"identification-{request.node.callspec.id}.json").read_text(encoding="utf-8"))
    made = wire(change)
    assert {
        "key": made.key.decode(),
        "headers": {name: value.decode() for name, value in made.headers},
        "value": None if made.value is None else json.loads(made.value),
    } == golden


def test_event_ids_tell_every_revision_and_every_forgetting_apart() -> None:
    def event_id(change: Put[Identification] | Tombstone, now: datetime) -> bytes:
        return dict(contract.cloud_event(change, Deployment(), now))["ce_id"]

    later = NOW + timedelta(seconds=1)
    assert event_id(Put(TRACK, IDENTIFIED), NOW) == event_id(Put(TRACK, IDENTIFIED), later)
    assert event_id(Put(TRACK, IDENTIFIED), NOW) != event_id(Put(TRACK, UNKNOWN), NOW)
    assert event_id(Tombstone(TRACK), NOW) != event_id(Tombstone(TRACK), later)


def test_source_tells_deployments_of_one_cluster_apart() -> None:
    assert contract.source(Deployment(prefix="north.")) != contract.source(Deployment(prefix="south."))


@pytest.mark.parametrize("value", [IDENTIFIED, UNKNOWN], ids=["identified", "unknown"])
def test_records_satisfy_their_published_schema(value: Identification) -> None:
    schema = contract.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    content = wire(Put(TRACK, value)).value
    assert content is not None
    jsonschema.validate(json.loads(content), schema)


def test_schema_refuses_what_is_no_identification() -> None:
    schema = contract.json_schema()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"track_id": TRACK}, schema)


def test_schema_names_nobody() -> None:
    (definition,) = contract.json_schema()["$defs"].values()
    assert not {"name", "user_data", "userData", "template", "image"} & set(definition["properties"])


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def test_asyncapi_holds_together() -> None:
    document = json.loads(json.dumps(contract.asyncapi(Deployment())))
    assert document["asyncapi"] == "3.0.0"
    for reference in references(document):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
    assert len(document["operations"]) == len(arrows()) + 1
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["messages"]


def test_asyncapi_says_how_the_topics_stand_on_the_cluster() -> None:
    document = contract.asyncapi(Deployment(Scale(32, 8), replication=3, prefix="shop."))
    channel = document["channels"]["identifications"]
    kafka = channel["bindings"]["kafka"]
    assert channel["address"] == kafka["topic"] == "shop.identifications"
    assert (kafka["partitions"], kafka["replicas"]) == (32, 3)
    assert kafka["topicConfiguration"]["cleanup.policy"] == ["compact", "delete"]
    assert kafka["topicConfiguration"]["retention.ms"] == 48 * 3600 * 1000


@pytest.mark.parametrize("change", [Put(TRACK, IDENTIFIED), Tombstone(TRACK)], ids=["put", "forgotten"])
def test_asyncapi_describes_the_headers_that_are_sent(
    change: Put[Identification] | Tombstone, request: pytest.FixtureRequest
) -> None:
    messages = contract.asyncapi(Deployment())["components"]["messages"]
    schema = messages[f"identifications.{request.node.callspec.id}"]["headers"]
    sent = {name: value.decode() for name, value in wire(change).headers}
    jsonschema.validate(sent, schema)
    assert set(sent) == set(schema["properties"])
