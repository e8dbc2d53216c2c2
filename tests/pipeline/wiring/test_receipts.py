"""Who signs a deployment's receipts, and what is read back of them from a real Kafka."""

from pathlib import Path

import pytest

from connectors import ServiceRefused
from connectors.signing_key import SigningKey
from pipeline.home import Home
from pipeline.receipts import Head, appended, verify_chain
from pipeline.settings import Settings, parse
from pipeline.topology import Deployment, Scale
from pipeline.wiring.receipts import chains, signer, signing_key
from tests.pipeline.conftest import Cluster
from tests.pipeline.examples import NOON, clean, receipt
from tests.pipeline.receipts.on_kafka import put
from tests.pipeline.receipts.signing import PUBLIC, signed


def test_the_home_has_a_key_of_its_own_until_the_settings_name_another(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    own = signing_key(Settings(), home)
    assert signing_key(Settings(), home).public == own.public
    assert (home.keys / "receipts.pem").exists()
    shared = SigningKey.made(tmp_path / "shared.pem")
    settings = parse({"receipts": {"key_file": "../shared.pem"}}, home.path)
    assert signing_key(settings, home).public == shared.public != own.public
    entry = appended(Head(0), receipt(), NOON, signer(settings, home))
    assert verify_chain([entry], shared.public) == Head.after(entry)


def test_a_shared_key_is_never_drawn(tmp_path: Path) -> None:
    settings = parse({"receipts": {"key_file": "shared.pem"}}, tmp_path)
    with pytest.raises(ServiceRefused, match=r"shared\.pem is missing"):
        signing_key(settings, Home(tmp_path))


@pytest.mark.broker
async def test_entries_come_back_by_chain_in_their_order(cluster: Cluster) -> None:
    assert await chains(cluster.access, cluster.deployment) == {0: []}
    entries = signed([receipt("e0"), clean("e0"), receipt("e1")])
    await put(cluster, *entries[:2])
    await put(cluster, *entries[2:])
    assert await chains(cluster.access, cluster.deployment) == {0: entries}
    assert verify_chain(entries, PUBLIC, reaches=2) == Head.after(entries[2])


@pytest.mark.broker
async def test_a_topic_that_is_not_there_is_one_line(cluster: Cluster) -> None:
    with pytest.raises(ServiceRefused, match="has no topic nowhere-audit; create it with: faceline topics apply"):
        await chains(cluster.access, Deployment(Scale(), prefix="nowhere-"))
