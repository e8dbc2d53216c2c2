"""What the outside may rely on: `identifications` as CloudEvents, with a JSON Schema and an AsyncAPI document.

All of it is generated from the map and the records, so that neither can change without the contract changing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from pipeline.changes import Change, Put
from pipeline.codec import SCHEMA_HEADER, SCHEMA_VERSION
from pipeline.drawing.arrows import Arrow, arrows
from pipeline.records import Identification
from pipeline.topology import IDENTIFICATIONS, TOPICS, Deployment, Topic

TYPE = f"io.faceline.identification.v{SCHEMA_VERSION}"
FORGOTTEN_TYPE = f"{TYPE}.forgotten"
CONTENT_TYPE = "application/json"
JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/components/schemas/{name}"

Headers = tuple[tuple[str, bytes], ...]


def source(deployment: Deployment) -> str:
    """The CloudEvents `source` of a deployment's identifications, a relative URI reference."""
    return f"/faceline/{deployment.name(IDENTIFICATIONS)}"


def cloud_event(change: Change[Identification], deployment: Deployment, now: datetime) -> Headers:
    """The headers of one record of `identifications`: CloudEvents 1.0, Kafka protocol binding, binary content mode.

    A record says when it was identified; a tombstone has no content to say it, so its time is `now`, which is also
    part of its id: a track that is forgotten, seen again and forgotten again makes two events.
    """
    match change:
        case Put(key=track, value=told):
            kind, time, number = TYPE, told.identified_at, str(told.revision)
        case _:
            track, kind, time = change.key, FORGOTTEN_TYPE, now
            number = f"forgotten/{int(now.timestamp() * 1000)}"
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": f"{track}/{number}",
        "ce_source": source(deployment),
        "ce_type": kind,
        "ce_subject": track,
        "ce_time": time.isoformat().replace("+00:00", "Z"),
        "content-type": CONTENT_TYPE,
    }
    return tuple((name, value.encode()) for name, value in attributes.items())


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the value of an identification."""
    return {"$schema": JSON_SCHEMA, **msgspec.json.schema(Identification)}


def asyncapi(deployment: Deployment) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of a deployment: a channel per topic, an operation per arrow of the map."""
    messages = {name: message for topic in TOPICS for name, message in _messages(topic).items()}
    # Every process of Faceline reads what it replays; one operation per stage, topic and direction says enough.
    relations = {_operation_name(arrow): _operation(arrow) for arrow in arrows()}
    schemas = msgspec.json.schema_components([topic.value for topic in TOPICS], ref_template=REFERENCE)[1]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Faceline",
            "version": str(SCHEMA_VERSION),
            "description": (
                "Applications read `identifications`: JSON with CloudEvents headers, a null value where a track was "
                "forgotten. The other topics are MessagePack, sealed, and may change with every release."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.name: _channel(topic, deployment) for topic in TOPICS},
        "operations": relations | {"applicationReadsIdentifications": _application()},
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(topic: Topic, deployment: Deployment) -> dict[str, Any]:
    settings = topic.settings()
    numbers = ("retention.ms", "delete.retention.ms", "max.message.bytes")
    return {
        "address": deployment.name(topic),
        "title": topic.name,
        "description": topic.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "bindings": {
            "kafka": {
                "topic": deployment.name(topic),
                "partitions": deployment.scale.partitions(topic),
                "replicas": deployment.replication,
                "topicConfiguration": {
                    "cleanup.policy": topic.cleanup.split(","),
                    **{name: int(settings[name]) for name in numbers if name in settings},
                },
                "bindingVersion": "0.5.0",
            }
        },
        "x-faceline-outward": topic.outward,
    }


def _messages(topic: Topic) -> dict[str, Any]:
    """The messages of a topic: the record that is put and, where keys are compacted, the one that forgets it."""
    put = _message(topic, "put")
    put["payload"] = _payload(topic)
    if "compact" not in topic.cleanup:
        return {f"{topic.name}.put": put}
    forgotten = _message(topic, "forgotten")
    forgotten["payload"] = {"type": "null"}
    return {f"{topic.name}.put": put, f"{topic.name}.forgotten": forgotten}


def _payload(topic: Topic) -> dict[str, Any]:
    (payload,), _ = msgspec.json.schema_components([topic.value], ref_template=REFERENCE)
    if "discriminator" in payload:
        # AsyncAPI takes the property's name where msgspec, like OpenAPI, gives an object.
        payload["discriminator"] = payload["discriminator"]["propertyName"]
    return payload


def _message(topic: Topic, kind: str) -> dict[str, Any]:
    headers = {SCHEMA_HEADER: {"type": "string", "const": str(SCHEMA_VERSION)}}
    if topic.outward:
        headers |= _cloud_event_schema(TYPE if kind == "put" else FORGOTTEN_TYPE)
    return {
        "name": f"{topic.name}.{kind}",
        "title": f"{topic.name}: {'the last word about a key' if kind == 'put' else 'a key was forgotten'}",
        "contentType": CONTENT_TYPE if topic.outward else "application/msgpack",
        "headers": {"type": "object", "properties": headers, "required": sorted(headers)},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
    }


def _cloud_event_schema(kind: str) -> dict[str, Any]:
    return {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "trackId/revision; trackId/forgotten/milliseconds for a tombstone"},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_type": {"type": "string", "const": kind},
        "ce_subject": {"type": "string", "description": "trackId"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": CONTENT_TYPE},
    }


def _operation_name(arrow: Arrow) -> str:
    words = f"{arrow.node.name} {arrow.kind} {arrow.topic.name}".replace(",", " ").replace("-", " ").split()
    return words[0] + "".join(word.capitalize() for word in words[1:])


def _operation(arrow: Arrow) -> dict[str, Any]:
    return _on(arrow.topic, "send" if arrow.kind == "writes" else "receive", str(arrow), _messages(arrow.topic))


def _application() -> dict[str, Any]:
    summary = "what an application does: read, committed records only, and forget what a tombstone names"
    return _on(IDENTIFICATIONS, "receive", summary, _messages(IDENTIFICATIONS))


def _on(topic: Topic, action: str, summary: str, messages: Iterable[str]) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "summary": summary,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in messages],
    }
