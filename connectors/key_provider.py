"""What a customer-managed root key must be able to do; a file, Vault and AWS KMS are behind it.

A provider wraps the few root keys of a key store, one per version, never data keys: those are wrapped by a root key in
our own memory, so that a key costs no question over the network.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

ROOT_KEY_BYTES = 32


class Erasure(StrEnum):
    """What destroying a version is worth; an audit must not claim more."""

    BEST_EFFORT = "best effort"  # an overwritten file may survive on flash, in a snapshot or in a backup
    BOUNDED = "bounded"  # destroyed when the call returns
    DELAYED = "unusable at once, destroyed after 7 days"


class KeyProvider(Protocol):
    """Root keys by version, counted up from 1.

    Every method may raise ServiceUnavailable (ask again later) and ServiceRefused (a person must act).
    """

    @property
    def name(self) -> str:
        """Provider and place, for a person to read; no secret."""

    @property
    def erasure(self) -> Erasure: ...

    def prepare(self) -> int:
        """The newest version, the first one being made where there is none; safe in several processes at once."""

    def versions(self) -> list[int]:
        """The versions that can unwrap, oldest first."""

    def rotate(self) -> int:
        """Make a version; from now on the newest."""

    def wrap(self, version: int, key: bytes) -> bytes:
        """A root key (32 bytes), wrapped by that version, which must be the newest."""

    def unwrap(self, version: int, wrapped: bytes) -> bytes:
        """The root key (32 bytes). ServiceRefused when the version is gone, or did not wrap it."""

    def destroy_version(self, version: int) -> None:
        """Destroy that version and every one before it, never the newest; idempotent."""

    def destroy(self) -> None:
        """Destroy every version; idempotent."""
