"""A stand-in for a service that no test can start: AWS KMS, by HTTP, in this process.

It shows that our calls are well-formed for the real client library, and what follows from the answers as AWS documents
them. It shows nothing about the service itself.
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
