"""The simulated key store keeps the promises of the real one that the stages rely on: one suite for both."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from connectors.root_keys import LEASE
from pipeline.bench.simulation.keys import SimulatedKeys, SimulatedRows
from tests.connectors.clock import NOON, Clock

Open = Callable[[], Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["real", "simulated"])
def process(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Opens the one store of a test, as one more process of the deployment."""
    rows, opened = SimulatedRows(0), []

    def another() -> Any:
        if request.param == "simulated":
            return SimulatedKeys(rows, clock.now, clock.timer)
        opened.append(KeyStore.create(tmp_path, now=clock.now, timer=clock.timer))
        return opened[-1]

    yield another
    for each in opened:
        each.close()


def test_a_seal_opens_with_its_key_and_its_place_alone(process: Open) -> None:
    keys = process()
    kid, other = keys.new("person"), keys.new("person")
    nonce, ciphertext = keys.seal(kid, b"template", b"here")
    assert process().open(kid, nonce, ciphertext, b"here") == b"template"
    for wrong_kid, wrong_place in ((kid, b"there"), (other, b"here")):
        with pytest.raises(SealBroken):
            keys.open(wrong_kid, nonce, ciphertext, wrong_place)


def test_a_destroyed_key_is_gone_here_at_once_and_elsewhere_after_its_lease(process: Open, clock: Clock) -> None:
    here, elsewhere = process(), process()
    kid = here.new("person")
    nonce, ciphertext = here.seal(kid, b"template", b"")
    assert elsewhere.open(kid, nonce, ciphertext, b"") == b"template"
    here.destroy([kid])
    with pytest.raises(KeyDestroyed):
        here.open(kid, nonce, ciphertext, b"")
    clock.seconds += LEASE - 0.1
    assert elsewhere.open(kid, nonce, ciphertext, b"") == b"template"
    clock.seconds += 0.2
    with pytest.raises(KeyDestroyed):
        elsewhere.open(kid, nonce, ciphertext, b"")
    assert not elsewhere.alive(kid)


def test_a_named_key_is_one_for_all_until_its_time(process: Open, clock: Clock) -> None:
    end = NOON + timedelta(seconds=10)
    here, elsewhere = process(), process()
    kid = here.named("faces/1", end)
    assert elsewhere.named("faces/1", end) == kid
    nonce, ciphertext = here.seal(kid, b"template", b"")
    clock.seconds = 10.0
    assert here.destroy_expired(clock.now()) == 1
    with pytest.raises(KeyDestroyed):
        here.open(kid, nonce, ciphertext, b"")
    with pytest.raises(KeyDestroyed):
        here.named("faces/1", end)


def test_an_unknown_key_can_be_destroyed_and_opens_nothing(process: Open) -> None:
    keys = process()
    keys.destroy(["0" * 32])
    with pytest.raises(KeyDestroyed):
        keys.open("f" * 32, b"\0" * 12, b"\0" * 16, b"")
