"""The shape of our collections in Milvus: how one is made, and how an existing one is recognised or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors import ServiceRefused
from connectors.milvus_client import DataType, MilvusClient, MilvusException
from connectors.vectors import Metric

NAMES: dict[Metric, str] = {"cosine": "COSINE", "l2": "L2"}
METRICS: dict[str, Metric] = {milvus: metric for metric, milvus in NAMES.items()}
WORDS = ("gallery", "person", "key_id")
WORD_LENGTH = 64
ID_LENGTH = 2 * WORD_LENGTH + 1
LITE = "milvus_lite"


@dataclass(frozen=True, slots=True)
class Form:
    """What a collection holds: vectors of one dimension under one metric, and the type of its index."""

    dimension: int
    metric: Metric
    index: str


def ensure(client: MilvusClient, name: str, wanted: tuple[int, Metric], timeout: float) -> Form:
    """The form of the collection, made first where there is none; ServiceRefused when it holds something else."""
    index = "FLAT" if client.get_server_version(timeout=timeout).startswith(LITE) else "HNSW"
    made = Form(*wanted, index)
    if not client.has_collection(name, timeout=timeout):
        try:
            _make(client, name, made, timeout)
        except MilvusException:
            # Two processes may begin at once; the one that comes second finds a collection to look at.
            if not client.has_collection(name, timeout=timeout):
                raise
    if not client.list_indexes(name, field_name="vector", timeout=timeout):
        client.create_index(name, _index(client, made), timeout=timeout)
    found = read(client, name, timeout)
    if (found.dimension, found.metric) != wanted:
        raise ServiceRefused(
            f"the Milvus collection {name} holds {found.dimension}-d {found.metric} vectors, wanted {wanted[0]}-d "
            f"{wanted[1]}: rebuild the gallery under another name, or drop the collection"
        )
    return found


def read(client: MilvusClient, name: str, timeout: float) -> Form:
    """The form of an existing collection; ServiceRefused when it is none of ours."""
    fields: dict[str, Any] = {
        field["name"]: field for field in client.describe_collection(name, timeout=timeout)["fields"]
    }
    indexes = client.list_indexes(name, field_name="vector", timeout=timeout)
    if not indexes or not {"id", "vector", *WORDS} <= fields.keys():
        raise ServiceRefused(f"the Milvus collection {name} is not a gallery of Faceline: choose another name")
    index = client.describe_index(name, indexes[0], timeout=timeout)
    metric = METRICS.get(index["metric_type"])
    if metric is None:
        raise ServiceRefused(f"the Milvus collection {name} compares by {index['metric_type']}: choose another name")
    return Form(int(fields["vector"]["params"]["dim"]), metric, index["index_type"])


def target(client: MilvusClient, alias: str, timeout: float) -> str:
    """The collection behind an alias; MilvusException where there is no such alias."""
    return str(client.describe_alias(alias, timeout=timeout)["collection_name"])


def introduce(client: MilvusClient, alias: str, name: str, timeout: float) -> None:
    """Make an alias, unless there is one already."""
    try:
        client.create_alias(name, alias, timeout=timeout)
    except MilvusException:
        # Two processes may begin at once; the one that comes second leaves it as it is.
        target(client, alias, timeout)


def drop(client: MilvusClient, name: str, timeout: float) -> None:
    """Remove a collection; a server keeps one that an alias stands for."""
    if client.has_collection(name, timeout=timeout):
        for alias in client.list_aliases(name, timeout=timeout)["aliases"]:
            client.drop_alias(alias, timeout=timeout)
        client.drop_collection(name, timeout=timeout)


def search_parameters(form: Form, limit: int) -> dict[str, Any]:
    """How wide the index looks; Milvus wants ef >= limit."""
    return {"ef": max(256, limit)} if form.index == "HNSW" else {}


def _make(client: MilvusClient, name: str, form: Form, timeout: float) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=ID_LENGTH)
    for word in WORDS:
        # Small galleries share a collection: the partition key keeps a search inside its own.
        schema.add_field(word, DataType.VARCHAR, max_length=WORD_LENGTH, is_partition_key=word == "gallery")
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=form.dimension)
    client.create_collection(
        name, schema=schema, index_params=_index(client, form), consistency_level="Strong", timeout=timeout
    )


def _index(client: MilvusClient, form: Form) -> Any:
    # Only these two: Milvus Lite takes any other name, searches by brute force, and cannot load it after a restart.
    parameters = {"M": 32, "efConstruction": 200} if form.index == "HNSW" else {}
    index = client.prepare_index_params()
    index.add_index("vector", index_type=form.index, metric_type=NAMES[form.metric], params=parameters)
    return index
