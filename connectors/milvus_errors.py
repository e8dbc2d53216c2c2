"""Who is to blame when Milvus does not do what it was asked: turned into our errors at this one place."""

from __future__ import annotations

import re

import grpc  # type: ignore[import-untyped]

from connectors import ServiceRefused, ServiceUnavailable
from connectors.milvus_client import MilvusException

CONNECT_FAILED = 2  # pymilvus.client.types.Status
NO_COLLECTION = 100  # Milvus pkg/util/merr: ErrCollectionNotFound, and the next one ErrCollectionNotLoaded
NOT_LOADED = 101
NO_ALIAS = 1600  # ErrAliasNotFound
REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
ABSENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
# What grpc and pymilvus say in a thread whose channel another thread has just given up.
CLOSED = re.compile(r"closed channel|channel (is )?closed|no channel in handler", re.IGNORECASE)
NUMBERS = re.compile(r"\[[^\]]*\]?|-?\d+\.\d+\S*")


class NoSuchCollection(Exception):
    """The collection was never made, or was dropped: it is made at its first template."""


class MilvusFault(Exception):
    """Milvus answered with an error that is nobody's habit: the text is its message, without any vector."""


def translated(error: Exception, uri: str, collection: str) -> Exception:
    """The error as the rest of the house knows it."""
    codes = _codes(error)
    message = str(getattr(error, "message", ""))
    if codes & REFUSED:
        return ServiceRefused(f"Milvus at {uri} refuses our token: set the one that it knows")
    if codes & (ABSENT | {CONNECT_FAILED}) or CLOSED.search(message):
        return ServiceUnavailable(f"Milvus at {uri} does not answer")
    if codes & {NO_COLLECTION, NO_ALIAS}:
        return NoSuchCollection(f"Milvus at {uri} has no collection {collection}")
    return MilvusFault(f"Milvus at {uri} fails on collection {collection or '-'}: {NUMBERS.sub('..', message)[:200]}")


def not_loaded(error: MilvusException) -> bool:
    """Whether the collection exists but is not in memory, as after every restart of Milvus Lite."""
    return NOT_LOADED in (error.code, error.compatible_code)


def _codes(error: BaseException) -> set[object]:
    # pymilvus raises an error "from" itself, so its causes are a circle and what gRPC said is in the context alone.
    codes: set[object] = set()
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            code = getattr(cause, "code", None)
            codes.add(code() if callable(code) else code)
            waiting += [cause.__cause__, cause.__context__]
    return codes
