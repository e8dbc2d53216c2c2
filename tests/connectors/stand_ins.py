"""Stand-ins for two services that no test can start: Vault's transit engine and AWS KMS, by HTTP, in this process.

They show that our calls are well-formed for the real client libraries and what follows from the answers as the
services' documentation gives them. They show nothing about the services themselves.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Answer = tuple[int, dict[str, Any]]
Ask = Callable[[str, str, dict[str, str], dict[str, Any]], Answer]


@contextmanager
def served(ask: Ask) -> Iterator[str]:
    """Serve on loopback; the URL. `ask` gets method, path, headers and the JSON body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, answer = ask(self.command, self.path, dict(self.headers), body)
            written = b"" if status == 204 else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class VaultStandIn:
    """`/v1/transit/...` for keys of type aes256-gcm96, with the checks that path_config.go and path_trim.go make."""

    token: str = field(default_factory=lambda: secrets.token_hex(12))
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    sealed: bool = False

    def ask(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if headers.get("X-Vault-Token") != self.token:
            return 403, {"errors": ["permission denied"]}
        match [method, *path.removeprefix("/v1/transit/").split("/")]:
            case ["GET", "keys", name]:
                return (200, {"data": self._shown(name)}) if name in self.keys else (404, {"errors": []})
            case ["POST", "keys", name]:
                self.keys.setdefault(name, {"versions": {1: AESGCM.generate_key(256)}, "allowed": False, **_settings()})
                return 204, {}
            case ["DELETE", "keys", name]:
                if not self.keys.get(name, {}).get("allowed"):
                    return 400, {"errors": [f"error deleting policy {name}: could not delete key; not found"]}
                del self.keys[name]
                return 204, {}
            case ["POST", "keys", name, "config"] if name not in self.keys:
                return 400, {"errors": [f"no existing key named {name} could be found"]}
            case ["POST", "keys", name, operation]:
                return getattr(self, f"_{operation}")(self.keys[name], body)  # type: ignore[no-any-return]
            case ["POST", "encrypt" | "decrypt", name] if name not in self.keys:
                return 400, {"errors": ["encryption key not found"]}
            case ["POST", "encrypt" | "decrypt" as operation, name]:
                return getattr(self, f"_{operation}")(self.keys[name], body)  # type: ignore[no-any-return]
            case _:
                return 404, {"errors": []}

    def _shown(self, name: str) -> dict[str, Any]:
        key = self.keys[name]
        shown = {str(version): 1_700_000_000 for version in key["versions"]}
        return {"name": name, "keys": shown, "latest_version": max(key["versions"]), **_settings(key)}

    def _rotate(self, key: dict[str, Any], _: dict[str, Any]) -> Answer:
        key["versions"][max(key["versions"]) + 1] = AESGCM.generate_key(256)
        return 204, {}

    def _config(self, key: dict[str, Any], body: dict[str, Any]) -> Answer:
        wanted = {**_settings(key), **{name: value for name, value in body.items() if name in _settings()}}
        latest = max(key["versions"])
        if wanted["min_decryption_version"] > latest or wanted["min_encryption_version"] > latest:
            return 400, {"errors": [f"cannot set min version higher than the latest key version, which is {latest}"]}
        if 0 < wanted["min_encryption_version"] < wanted["min_decryption_version"]:
            return 400, {"errors": ["cannot set min encryption/decryption values; min encryption is lower"]}
        key.update(wanted)
        key["allowed"] = body.get("deletion_allowed", key["allowed"])
        return 204, {}

    def _trim(self, key: dict[str, Any], body: dict[str, Any]) -> Answer:
        wanted = body["min_available_version"]
        if key["min_encryption_version"] == 0 or key["min_decryption_version"] == 0:
            return 400, {"errors": ["minimum available version cannot be set when the others are not"]}
        if wanted > min(key["min_encryption_version"], key["min_decryption_version"]):
            return 400, {"errors": ["minimum available version cannot be greater than the others"]}
        key["min_available_version"] = wanted
        key["versions"] = {version: each for version, each in key["versions"].items() if version >= wanted}
        return 204, {}

    def _encrypt(self, key: dict[str, Any], body: dict[str, Any]) -> Answer:
        version = body.get("key_version") or max(key["versions"])
        if version < key["min_encryption_version"] or version not in key["versions"]:
            return 400, {"errors": ["requested version for encryption is not allowed"]}
        nonce = secrets.token_bytes(12)
        plaintext, associated = (base64.b64decode(body[name]) for name in ("plaintext", "associated_data"))
        sealed = nonce + AESGCM(key["versions"][version]).encrypt(nonce, plaintext, associated)
        return 200, {"data": {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}"}}

    def _decrypt(self, key: dict[str, Any], body: dict[str, Any]) -> Answer:
        _, version, text = body["ciphertext"].split(":")
        if int(version[1:]) < key["min_decryption_version"] or int(version[1:]) not in key["versions"]:
            return 400, {"errors": ["ciphertext or signature version is disallowed by policy (too old)"]}
        sealed, associated = base64.b64decode(text), base64.b64decode(body["associated_data"])
        try:
            plain = AESGCM(key["versions"][int(version[1:])]).decrypt(sealed[:12], sealed[12:], associated)
        except InvalidTag:
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


def _settings(key: dict[str, Any] | None = None) -> dict[str, int]:
    names = {"min_decryption_version": 1, "min_encryption_version": 0, "min_available_version": 0}
    return names if key is None else {name: key[name] for name in names}


@dataclass
class KmsStandIn:
    """The calls of KMS that we make, for symmetric keys, in the JSON protocol that botocore speaks to it."""

    keys: dict[str, bytes] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    denied: bool = False

    def ask(self, _: str, __: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if self.denied:
            return 400, {"__type": "AccessDeniedException", "message": "not authorized to perform this"}
        operation = headers["X-Amz-Target"].removeprefix("TrentService.")
        return getattr(self, f"_{operation}")(body)  # type: ignore[no-any-return]

    def _CreateKey(self, _: dict[str, Any]) -> Answer:
        key = secrets.token_hex(8)
        self.keys[key] = AESGCM.generate_key(256)
        return 200, {"KeyMetadata": {"KeyId": key, "KeyState": "Enabled"}}

    def _CreateAlias(self, body: dict[str, Any]) -> Answer:
        if body["AliasName"] in self.aliases:
            return 400, {"__type": "AlreadyExistsException", "message": "an alias with that name exists"}
        self.aliases[body["AliasName"]] = body["TargetKeyId"]
        return 200, {}

    def _DeleteAlias(self, body: dict[str, Any]) -> Answer:
        if self.aliases.pop(body["AliasName"], None) is None:
            return 400, {"__type": "NotFoundException", "message": "alias is not found"}
        return 200, {}

    def _ListAliases(self, body: dict[str, Any]) -> Answer:
        # One a page, as if there were hundreds.
        names = ["alias/aws/s3", *sorted(self.aliases)]
        start = int(body.get("Marker") or 0)
        shown = [{"AliasName": name, "TargetKeyId": self.aliases.get(name, "aws")} for name in names[start : start + 1]]
        more = start + 1 < len(names)
        return 200, {"Aliases": shown, "Truncated": more, **({"NextMarker": str(start + 1)} if more else {})}

    def _ScheduleKeyDeletion(self, body: dict[str, Any]) -> Answer:
        if body["KeyId"] in self.pending:
            return 400, {"__type": "KMSInvalidStateException", "message": "the key is pending deletion"}
        self.pending.add(body["KeyId"])
        return 200, {"KeyId": body["KeyId"], "PendingWindowInDays": body["PendingWindowInDays"]}

    def _Encrypt(self, body: dict[str, Any]) -> Answer:
        key = self.aliases.get(body["KeyId"], body["KeyId"])
        if key in self.pending:
            return 400, {"__type": "KMSInvalidStateException", "message": "the key is pending deletion"}
        nonce = secrets.token_bytes(12)
        context = json.dumps(body["EncryptionContext"], sort_keys=True).encode()
        sealed = nonce + AESGCM(self.keys[key]).encrypt(nonce, base64.b64decode(body["Plaintext"]), context)
        return 200, {"CiphertextBlob": base64.b64encode(sealed).decode(), "KeyId": key}

    def _Decrypt(self, body: dict[str, Any]) -> Answer:
        key = body["KeyId"]
        if key in self.pending:
            return 400, {"__type": "KMSInvalidStateException", "message": "the key is pending deletion"}
        sealed = base64.b64decode(body["CiphertextBlob"])
        context = json.dumps(body["EncryptionContext"], sort_keys=True).encode()
        try:
            plain = AESGCM(self.keys[key]).decrypt(sealed[:12], sealed[12:], context)
        except InvalidTag:
            return 400, {"__type": "InvalidCiphertextException", "message": ""}
        return 200, {"Plaintext": base64.b64encode(plain).decode(), "KeyId": key}
