"""Vector search at Milvus: the same calls to Milvus Lite and to a Milvus server, by URI and token.

Lite ignores much in silence (unknown indexes, NaN, time to live) and a server answers stale reads unless told not to;
so everything is explicit here. Rows that were not flushed are searched slowly: whoever writes a burst calls `flush`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from connectors import ServiceRefused, milvus_collection
from connectors.milvus_client import MilvusClient, MilvusException
from connectors.milvus_collection import WORDS, Form
from connectors.milvus_errors import MilvusFault, NoSuchCollection, not_loaded, translated
from connectors.vectors import Hit, Metric, Row, VectorRefused, check_identifier, check_vectors, filters, stacked

__all__ = ["Hit", "Metric", "Milvus", "MilvusFault", "NoSuchCollection", "Row", "VectorRefused"]

COLLECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
URI = re.compile(r"https?://[^/\s]+")
ROWS_AT_ONCE = 1000
PROBES_AT_ONCE = 64
LIMIT = 16384  # a server's own bound on limit and offset; Lite has none

T = TypeVar("T")


class Milvus:
    """One Milvus by its address, "http://host:port"; connects at the first call and again after every failure.

    Thread-safe. Every method raises ServiceUnavailable when Milvus does not answer within `timeout` seconds (the caller
    waits and asks again), ServiceRefused for a wrong token or a foreign collection, MilvusFault for the rest; those
    that name a collection raise NoSuchCollection when it is not there. Writes are idempotent and may be repeated.
    """

    def __init__(self, uri: str, token: str | None = None, *, timeout: float = 10.0) -> None:
        if not URI.fullmatch(uri.rstrip("/")):
            # A path would make pymilvus open a Milvus Lite inside this process, which locks out every other one.
            raise ServiceRefused(f"the Milvus address {uri!r} is not http://host:port: correct it")
        # It logs every failure with a traceback and parts of the request; the caller gets the error itself.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
        self._uri = uri
        self._token = token or ""
        self._timeout = timeout
        self._client: MilvusClient | None = None
        self._forms: dict[str, Form] = {}
        self._lock = threading.Lock()

    def ensure(self, name: str, dimension: int, metric: Metric) -> None:
        """Make the collection where there is none, and load it; FLAT on Milvus Lite, HNSW on a server.

        ServiceRefused when it exists with another dimension or metric, or is none of ours.
        """

        def make(client: MilvusClient) -> None:
            self._forms[name] = milvus_collection.ensure(client, name, (dimension, metric), self._timeout)
            client.load_collection(name, timeout=self._timeout)

        self._ask(make, name)

    def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write the rows, replacing those of the same id; searched from the return on. VectorRefused before any is."""
        if not rows:
            return
        form = self._form(name)
        # A server refuses the same id twice in one request; the last one is the one that would win.
        latest = list({row.id: row for row in rows}.values())
        vectors = stacked(latest, form.dimension, form.metric)
        data = [
            {"id": row.id, "gallery": row.gallery, "person": row.person, "key_id": row.key_id, "vector": vector}
            for row, vector in zip(latest, vectors, strict=True)
        ]

        def write(client: MilvusClient) -> None:
            for part in _parts(data, ROWS_AT_ONCE):
                client.upsert(name, part, timeout=self._timeout)

        self._ask(write, name)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Take the rows of these ids out of every later search; unknown ids are nothing.

        The vectors stay in Milvus's files, marked, until the collection is dropped (`gallery rebuild`).
        """
        words = [check_identifier(word) for word in ids]

        def mark(client: MilvusClient) -> None:
            for part in _parts(words, ROWS_AT_ONCE):
                client.delete(name, ids=part, timeout=self._timeout)

        self._ask(mark, name)

    def search(
        self,
        name: str,
        vectors: NDArray[np.float32],
        gallery: str,
        limit: int,
        persons: Sequence[str] | None = None,
    ) -> list[list[Hit]]:
        """For each of the (n, d) probes at most `limit` candidates of one gallery, the most similar first.

        Sees every write acknowledged before. Similarity: the cosine, or 1 - Euclidean distance under l2. With
        `persons`, rows of these alone.
        """
        form = self._form(name)
        check_vectors(vectors, form.dimension, form.metric)
        if not 1 <= limit <= LIMIT:
            raise ValueError(f"a limit of {limit}: wanted 1 to {LIMIT}")
        request: dict[str, Any] = {
            "limit": limit,
            "output_fields": list(WORDS),
            "consistency_level": "Strong",
            "search_params": {"params": milvus_collection.search_parameters(form, limit)},
            "timeout": self._timeout,
        }

        def probe(client: MilvusClient, only: str) -> list[Any]:
            parts = _parts(list(vectors), PROBES_AT_ONCE)
            return [hits for part in parts for hits in client.search(name, data=part, filter=only, **request)]

        found: list[list[Hit]] = [[] for _ in vectors]
        for only in filters(gallery, persons):
            answers = self._ask(lambda client, only=only: probe(client, only), name)  # type: ignore[misc]
            for hits, more in zip(found, answers, strict=True):
                hits += [_hit(each, form.metric) for each in more]
        return [sorted(hits, key=lambda hit: hit.similarity, reverse=True)[:limit] for hits in found]

    def flush(self, name: str) -> None:
        """Move what was written into indexed segments: to be called after a burst, not after each row."""
        self._ask(lambda client: client.flush(name, timeout=self._timeout), name)

    def drop(self, name: str) -> None:
        """Remove the collection, its aliases and, on Milvus Lite, its files at once; nothing when it is not there."""
        self._forms.pop(name, None)
        self._ask(lambda client: milvus_collection.drop(client, name, self._timeout), name)

    def rename(self, name: str, wanted: str) -> None:
        """Give a collection another name; at once, for everybody."""
        self._forms.pop(name, None)
        self._ask(lambda client: client.rename_collection(name, wanted, timeout=self._timeout), name)

    def target(self, alias: str) -> str | None:
        """The collection that an alias stands for, which every other method takes too; None where there is none."""
        try:
            return self._ask(lambda client: milvus_collection.target(client, alias, self._timeout), alias)
        except NoSuchCollection:
            return None

    def point(self, alias: str, name: str, *, moving: bool = False) -> None:
        """Let an alias stand for a collection where there is none yet; `moving`, also where it stands for another.

        Every later request finds the one or the other, never neither.
        """
        if moving and self.target(alias) is not None:
            self._ask(lambda client: client.alter_alias(name, alias, timeout=self._timeout), name)
        else:
            self._ask(lambda client: milvus_collection.introduce(client, alias, name, self._timeout), name)

    def form(self, name: str) -> tuple[int, Metric]:
        """The dimension and the metric of a collection's vectors."""
        form = self._form(name)
        return form.dimension, form.metric

    def names(self) -> list[str]:
        """The collections, sorted."""
        return sorted(self._ask(lambda client: client.list_collections(timeout=self._timeout)))

    def count(self, name: str) -> int:
        """How many rows a search could find."""
        request: dict[str, Any] = {"filter": "", "output_fields": ["count(*)"], "consistency_level": "Strong"}
        answer = self._ask(lambda client: client.query(name, timeout=self._timeout, **request), name)
        return int(answer[0]["count(*)"])

    def holds(self, name: str, ids: Sequence[str]) -> bool:
        """Whether a search could find a row of one of these ids."""
        words = [check_identifier(word) for word in ids]
        request: dict[str, Any] = {"output_fields": ["id"], "timeout": self._timeout, "consistency_level": "Strong"}
        parts = _parts(words, ROWS_AT_ONCE)
        return any(self._ask(lambda client, part=part: client.get(name, part, **request), name) for part in parts)  # type: ignore[misc]

    def vectors(self, name: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of these ids as they lie there, by id; unknown ids are left out."""
        words = [check_identifier(word) for word in ids]
        request: dict[str, Any] = {"output_fields": ["id", "vector"], "consistency_level": "Strong"}

        def get(client: MilvusClient) -> list[Any]:
            return [row for part in _parts(words, ROWS_AT_ONCE) for row in client.get(name, part, **request)]

        return {str(row["id"]): np.array(row["vector"], np.float32) for row in self._ask(get, name)}

    def ids(self, name: str) -> Iterator[str]:
        """The ids of all rows, in no order, read in batches as the caller goes."""
        request: dict[str, Any] = {"output_fields": ["id"], "consistency_level": "Strong", "timeout": self._timeout}
        pages = self._ask(lambda client: client.query_iterator(name, batch_size=ROWS_AT_ONCE, **request), name)
        try:
            while page := self._ask(lambda _: pages.next(), name):
                for row in page:
                    yield str(row["id"])
        finally:
            pages.close()

    def version(self) -> str:
        """What the server calls itself: "milvus_lite-3.2.2", "v2.6.0"."""
        return str(self._ask(lambda client: client.get_server_version(timeout=self._timeout)))

    def close(self) -> None:
        """Give up the connection; the next call makes a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _form(self, name: str) -> Form:
        form = self._forms.get(name)
        if form is None:
            form = self._ask(lambda client: milvus_collection.read(client, name, self._timeout), name)
            self._forms[name] = form
        return form

    def _ask(self, request: Callable[[MilvusClient], T], collection: str = "") -> T:
        if collection and not COLLECTION.fullmatch(collection):
            raise ServiceRefused(f"a collection name must be a letter and letters, digits or _, not {collection!r}")
        try:
            client = self._connected()
            try:
                return request(client)
            except MilvusException as error:
                if not (collection and not_loaded(error)):
                    raise
                client.load_collection(collection, timeout=self._timeout)
                return request(client)
        except (MilvusException, grpc.RpcError) as error:
            fault = translated(error, self._uri, collection)
        self._after(fault, collection)
        # Outside the handler: the error of pymilvus, whose text may quote the request, is not chained to ours.
        raise fault

    def _after(self, fault: Exception, collection: str) -> None:
        match fault:
            case NoSuchCollection():
                self._forms.pop(collection, None)
            case MilvusFault():
                return
            case _:
                # Its channel backs off, or was left closed by a failed repair: a new one starts clean.
                self.close()

    def _connected(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                self._client = MilvusClient(uri=self._uri, token=self._token, timeout=self._timeout, dedicated=True)
            return self._client


def _parts(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _hit(hit: Any, metric: Metric) -> Hit:
    # Under L2 Milvus answers the squared distance (milvus.io/docs/metric.md).
    similarity = hit["distance"] if metric == "cosine" else 1.0 - max(0.0, hit["distance"]) ** 0.5
    return Hit(hit["id"], hit["entity"]["person"], hit["entity"]["key_id"], float(similarity))
