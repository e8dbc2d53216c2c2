"""Promises of the key that signs receipts: drawn once, its owner's alone, refused with the cure where it is not."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from connectors import ServiceRefused
from connectors.signing_key import SigningKey


def test_it_is_drawn_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "receipts.pem"
    with ThreadPoolExecutor(8) as pool:
        drawn = {each.public_pem() for each in pool.map(lambda _: SigningKey.made(path), range(16))}
    assert drawn == {SigningKey(path).public_pem()}
    assert path.stat().st_mode & 0o777 == 0o400
    assert [each.name for each in path.parent.iterdir()] == ["receipts.pem"], "no draft is left"


def test_what_it_signs_fits_its_public_key_and_nothing_else(tmp_path: Path) -> None:
    key = SigningKey.made(tmp_path / "receipts.pem")
    signature = key.sign(b"message")
    assert len(signature) == 64
    key.public.verify(signature, b"message")
    assert load_pem_public_key(key.public_pem().encode()) == key.public
    with pytest.raises(InvalidSignature):
        key.public.verify(signature, b"massage")


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o440])
def test_another_mode_is_refused_with_its_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "receipts.pem"
    SigningKey.made(path)
    path.chmod(mode)
    for opening in (SigningKey, SigningKey.made):
        with pytest.raises(ServiceRefused) as refused:
            opening(path)
        assert str(refused.value) == (f"the signing key {path} has mode {mode:04o}, wanted 0400: run chmod 400 {path}")


def private(key: Ed25519PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


ED25519 = Ed25519PrivateKey.generate()
FOREIGN = {
    "nothing": b"",
    "no PEM": b"secret words",
    "a curve": generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "a locked key": private(ED25519, BestAvailableEncryption(b"password")),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_such_key_is_refused_without_a_word_of_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "receipts.pem"
    path.write_bytes(content)
    path.chmod(0o400)
    with pytest.raises(ServiceRefused) as refused:
        SigningKey(path)
    assert str(refused.value) == (
        f"the signing key {path} is no Ed25519 private key in PEM without a password: restore it, or make one with: "
        f"openssl genpkey -algorithm ed25519 -out {path}"
    )


def test_one_that_is_missing_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(ServiceRefused, match=r"receipts\.pem is missing: restore it"):
        SigningKey(tmp_path / "receipts.pem")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on this machine")
def test_openssls_own_key_does(tmp_path: Path) -> None:
    path = tmp_path / "receipts.pem"
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=False)
    assert made.returncode == 0
    path.chmod(0o400)
    key = SigningKey(path)
    key.public.verify(key.sign(b"message"), b"message")
