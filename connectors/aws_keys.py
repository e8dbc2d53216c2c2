"""Root keys in AWS KMS: a version is a KMS key of its own, found by an alias that carries the version's number.

AWS keeps every backing key of a rotated KMS key, so rotation in its own sense destroys nothing: here the whole key of
the old version is scheduled for deletion, which makes it unusable at once and destroys it after seven days.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # type: ignore[import-untyped]

from connectors import ServiceRefused, ServiceUnavailable
from connectors.key_provider import Erasure

PENDING_DAYS = 7  # the least that AWS admits
GONE = ("NotFoundException", "KMSInvalidStateException", "DisabledException")
REFUSED = (
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "InvalidCiphertextException",
    "IncorrectKeyException",
    "ValidationException",
    "LimitExceededException",
)


class AwsKeys:
    """KMS keys under the aliases `alias/<alias>-<version>`; credentials come from where the AWS tools take them.

    The principal needs kms:CreateKey, CreateAlias, DeleteAlias, ListAliases, Encrypt, Decrypt and ScheduleKeyDeletion;
    the stages that never rotate need ListAliases, Encrypt and Decrypt.
    """

    erasure = Erasure.DELAYED

    def __init__(self, region: str, alias: str, *, endpoint: str | None = None) -> None:
        """`endpoint` is a URL, for a private endpoint of KMS."""
        self.name = f"aws, {region}, alias/{alias}"
        self._alias = alias
        config = Config(connect_timeout=10, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
        # A session of our own: the default one would keep the credentials that its first user found.
        session = boto3.session.Session(region_name=region)
        self._client = session.client("kms", endpoint_url=endpoint, config=config)

    def prepare(self) -> int:
        return max(self._keys(), default=0) or self._made(1)

    def versions(self) -> list[int]:
        return sorted(self._keys())

    def rotate(self) -> int:
        return self._made(max(self._keys(), default=0) + 1)

    def wrap(self, version: int, key: bytes) -> bytes:
        arguments = {"KeyId": f"alias/{self._alias}-{version}", "Plaintext": key, "EncryptionContext": _place(version)}
        with self._explained():
            return bytes(self._client.encrypt(**arguments)["CiphertextBlob"])

    def unwrap(self, version: int, wrapped: bytes) -> bytes:
        keys = self._keys()
        if version not in keys:
            raise ServiceRefused(f"version {version} of {self.name} is gone, and with it all that it sealed")
        arguments = {"KeyId": keys[version], "CiphertextBlob": wrapped, "EncryptionContext": _place(version)}
        with self._explained():
            return bytes(self._client.decrypt(**arguments)["Plaintext"])

    def destroy_version(self, version: int) -> None:
        for each, key in self._keys().items():
            if each <= version:
                self._schedule(each, key)

    def destroy(self) -> None:
        for version, key in self._keys().items():
            self._schedule(version, key)

    def _keys(self) -> dict[int, str]:
        pattern = re.compile(rf"alias/{re.escape(self._alias)}-(\d{{1,9}})")
        with self._explained():
            pages = self._client.get_paginator("list_aliases").paginate()
            return {
                int(found[1]): each["TargetKeyId"]
                for page in pages
                for each in page["Aliases"]
                if (found := pattern.fullmatch(each["AliasName"])) and "TargetKeyId" in each
            }

    def _made(self, version: int) -> int:
        with self._explained():
            created = self._client.create_key(Description=f"Faceline root key, version {version}")
        key = created["KeyMetadata"]["KeyId"]
        try:
            with self._explained():
                self._client.create_alias(AliasName=f"alias/{self._alias}-{version}", TargetKeyId=key)
        except _Taken:
            # Another process was first: its key is the version's, and ours wraps nothing.
            with self._explained():
                self._client.schedule_key_deletion(KeyId=key, PendingWindowInDays=PENDING_DAYS)
        return version

    def _schedule(self, version: int, key: str) -> None:
        with suppress(_Gone), self._explained():
            self._client.schedule_key_deletion(KeyId=key, PendingWindowInDays=PENDING_DAYS)
        # The alias goes last: as long as it is there, an interrupted destruction is repeated.
        with suppress(_Gone), self._explained():
            self._client.delete_alias(AliasName=f"alias/{self._alias}-{version}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoCredentialsError:
            raise ServiceRefused(f"{self.name}: no credentials found; give them as to the AWS command line") from None
        except ClientError as error:
            raise self._told(error.response["Error"]["Code"]) from None
        except BotoCoreError:
            raise ServiceUnavailable(f"{self.name} does not answer: is KMS reachable from here?") from None

    def _told(self, code: str) -> Exception:
        if code == "AlreadyExistsException":
            return _Taken(self.name)
        if code in GONE:
            return _Gone(f"{self.name}: the key is gone or disabled ({code}), and with it all that it sealed")
        if code in REFUSED:
            return ServiceRefused(f"{self.name} refuses ({code}): correct [keys], the credentials or the key's policy")
        return ServiceUnavailable(f"{self.name} cannot answer now ({code})")


class _Gone(ServiceRefused):
    """KMS has no such key any more."""


class _Taken(ServiceRefused):
    """The alias exists."""


def _place(version: int) -> dict[str, str]:
    return {"faceline": f"root key {version}"}
