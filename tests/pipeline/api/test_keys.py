"""The access keys: drawn once, read again when they change, and nobody comes in by a broken file."""

import stat
from pathlib import Path

import pytest

from pipeline.api import keys
from pipeline.api.keys import ApiKeys
from pipeline.home import HomeError


def test_two_keys_are_drawn_once_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "api-keys"
    one, two = (ApiKeys(file), keys.read(file))[1]
    assert one != two
    assert {len(one), len(two)} == {32}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys.created(file)
    assert keys.read(file) == (one, two)
    assert [entry.name for entry in file.parent.iterdir()] == ["api-keys"]


def test_a_rotation_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "api-keys"
    live = ApiKeys(file)
    one, two = keys.read(file)
    assert (live.number_of(one), live.number_of(two)) == (1, 2)
    fresh = keys.rotate(file, 1)
    assert (live.number_of(one), live.number_of(fresh), live.number_of(two)) == (None, 1, 2)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("given", ["", "x", "\xff", "\udcff", "0" * 32, "0" * 10_000])
def test_others_are_nobody(tmp_path: Path, given: str) -> None:
    assert ApiKeys(tmp_path / "api-keys").number_of(given) is None


@pytest.mark.parametrize(
    "content", [b"", b"one-key-of-sixteen", b"short short", b"\xff" * 40, b"a" * 200 + b"\n" + b"b" * 32]
)
def test_a_file_without_two_keys_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "api-keys"
    file.write_bytes(content)
    with pytest.raises(HomeError, match="api-keys"):
        ApiKeys(file)


def test_a_broken_or_removed_file_lets_nobody_in_until_it_is_whole_again(tmp_path: Path) -> None:
    file = tmp_path / "api-keys"
    live = ApiKeys(file)
    content = file.read_bytes()
    one, _ = keys.read(file)
    file.write_bytes(b"half a")
    assert live.number_of(one) is None
    assert live.number_of("half") is None
    file.write_bytes(content)
    assert live.number_of(one) == 1
    file.unlink()
    assert live.number_of(one) is None


def test_a_place_that_cannot_hold_keys_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot be made"):
        ApiKeys(tmp_path / "file" / "api-keys")
