"""The socket of the API: https with the settings' certificate, a port that is told when taken, and one that is kept."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.__main__ import run
from pipeline.api.listening import address, certificate, listener
from pipeline.api.serving import Pulse, serve, until_one_ends
from pipeline.home import Home
from pipeline.settings import FILE, Api, SettingsError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def served(settings: Api, home: Home) -> AsyncIterator[str]:
    stop = asyncio.Event()
    with closing(listener(settings, home)) as bound:
        serving = asyncio.create_task(serve(hello, settings, bound, stop))
        try:
            yield address(settings, bound)
        finally:
            stop.set()
            await serving


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "face")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "server.pem", folder / "server.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


async def test_https_where_the_settings_have_a_certificate(home: Home, tmp_path: Path) -> None:
    pem, secret = self_signed(tmp_path)
    settings = Api(port=0, certificate_file=pem, key_file=secret)
    certificate(settings)
    async with served(settings, home) as place:
        assert place.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=pem)
        async with httpx.AsyncClient(verify=trusting) as http:
            assert (await http.get(place)).text == "hello"


def test_a_certificate_of_no_use_is_told_in_one_line(tmp_path: Path) -> None:
    pem, _ = self_signed(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = self_signed(tmp_path / "other")
    for key in (other, tmp_path / "none"):
        with pytest.raises(SettingsError, match=r"^faceline.toml: \[api\] certificate_file .* does not load"):
            certificate(Api(certificate_file=pem, key_file=key))


async def test_a_free_port_is_kept_and_a_taken_one_is_told(home: Home) -> None:
    async with served(Api(port=0), home) as place:
        async with httpx.AsyncClient() as http:
            assert (await http.get(place)).text == "hello"
        taken = int(place.rpartition(":")[2])
        with pytest.raises(SettingsError, match=rf"\[api\] 127.0.0.1 port {taken} cannot be listened on"):
            listener(Api(port=taken), home)
    async with served(Api(port=0), home) as again:
        assert again == place


def test_up_tells_a_taken_port_before_anything_starts(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (home.path / FILE).write_text(f"[api]\nport = {port}\n")
        for arguments in (["up"], ["up", "--detach"]):
            assert run(["--home", str(home.path), *arguments]) == 2
            line = f"{FILE}: [api] 127.0.0.1 port {port} cannot be listened on (Address already in use)"
            assert capsys.readouterr().err == f"{line}; give another port, or 0\n"
    assert home.running() is None


class Still:
    """A service whose views may end."""

    def __init__(self) -> None:
        self.client = self.recogniser = self.faces = self.asker = self
        self.ended: BaseException | None = None

    async def catch_up(self) -> None:
        pass


async def test_what_ended_a_view_ends_the_server() -> None:
    service: Any = Still()
    pulse = Pulse()
    assert pulse.trouble() is None
    service.ended = RuntimeError("a record of a newer release")
    with pytest.raises(RuntimeError, match="newer release"):
        await until_one_ends(pulse.watch(service), asyncio.sleep(60))
