"""Promises of `faceline keys`: what is there, a new root key, and the end of everything sealed."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors import ServiceUnavailable
from connectors.keystore import KeyDestroyed, KeyStore
from connectors.root_key import RootKeyFiles
from pipeline import __main__ as faceline
from pipeline.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def run(home: Home, *arguments: str) -> int:
    return faceline.run(["--home", str(home.path), "keys", *arguments])


def status(home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert run(home, "status", "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_rotation_moves_every_key_and_shows_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    store = KeyStore.create(home.keys)
    kids = [store.new("person") for _ in range(5)]
    value = store.seal(kids[0], b"Anna", b"")
    store.destroy(kids[4:])
    assert status(home, capsys) == {
        "store": f"file, {home.keys / 'keys.sqlite'}",
        "provider": f"file, {home.keys}",
        "erasure": "best effort",
        "alive": 4,
        "destroyed": 1,
        "versions": [{"version": 1, "keys": 4, "destroyed": None, "at_provider": True}],
    }
    assert run(home, "rotate") == 0
    told = "version 2 of the root key: 4 keys put under it; versions destroyed: 1 (best effort)"
    assert told in capsys.readouterr().out
    first, second = status(home, capsys)["versions"]
    assert (first["keys"], second) == (0, {"version": 2, "keys": 4, "destroyed": None, "at_provider": True})
    assert first["destroyed"].endswith("Z")
    assert not first["at_provider"]
    assert run(home, "status") == 0
    assert "4 alive, 1 destroyed" in capsys.readouterr().out
    again = KeyStore.create(home.keys)
    assert again.open(kids[0], *value, b"") == b"Anna"
    again.close()
    store.close()


def test_a_destroyed_root_is_the_end_and_says_so(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore.create(home.keys)
    kid = store.new("person")
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert run(home, "destroy") == 1
    assert store.alive(kid)
    assert run(home, "destroy", "--yes") == 0
    assert "every template, name and image that was sealed is unreadable" in capsys.readouterr().out
    with pytest.raises(KeyDestroyed):
        store.seal(kid, b"", b"")
    store.close()
    assert status(home, capsys)["alive"] == 0
    assert run(home, "destroy", "--yes") == 0, "may be repeated"
    assert run(home, "rotate") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.endswith("was destroyed: nothing it sealed can be read; begin anew with faceline purge\n")
    assert faceline.run(["--home", str(home.path), "purge", "--yes"]) == 0
    assert not home.path.exists()


def test_what_an_interrupted_rotation_left_is_shown_until_the_next_one(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    KeyStore.create(home.keys).close()

    def interrupted(*_: object) -> None:
        raise ServiceUnavailable("the provider does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(RootKeyFiles, "destroy_version", interrupted)
        assert run(home, "rotate") == 1
    assert run(home, "status") == 0
    assert "left at the provider" in capsys.readouterr().out
    assert run(home, "rotate") == 0
    assert [each["at_provider"] for each in status(home, capsys)["versions"]] == [False, False, True]


def test_where_nothing_is_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "rotate", "destroy"):
        assert run(Home(tmp_path / "absent"), command) == 2
    assert capsys.readouterr().err.count("holds no deployment; begin with: faceline init\n") == 3
    assert not (tmp_path / "absent").exists()


def test_a_vault_that_is_away_is_one_line(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (home.path / "faceline.toml").write_text('[keys]\nprovider = "vault"\nvault_address = "http://127.0.0.1:1"\n')
    assert run(home, "rotate") == 1
    error = capsys.readouterr().err
    assert error == "vault, 127.0.0.1:1/transit/faceline does not answer: is Vault up, unsealed and reachable?\n"
    assert faceline.run(["--home", str(home.path), "purge", "--yes"]) == 1
    assert home.path.exists(), "what cannot be destroyed is not said to be gone"
