"""An operator's Kafka is locked: certificates and logins open it for both client libraries, wrong ones are named."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from connectors import ServiceRefused
from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess, producer
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from tests.connectors.authority import HOST, Authority, free_ports

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(
    kafka_jars: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, str]]:
    """The addresses of a broker's mutual-TLS and TLS-with-login listeners, by protocol."""
    plain, controller, tls, login = free_ports(4)
    addresses = f"PLAINTEXT://{HOST}:{plain},SSL://{HOST}:{tls},SASL_SSL://{HOST}:{login}"
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    overrides = {
        "listeners": f"{addresses},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": addresses,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.issue("broker")),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
        "ssl.client.auth": "required",
        "listener.name.sasl_ssl.ssl.client.auth": "none",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{module} required user_camera="right";',
    }
    broker = EmbeddedBroker(tmp_path_factory.mktemp("locked"), kafka_jars, port=plain, overrides=overrides)
    await broker.start()
    yield {"SSL": f"{HOST}:{tls}", "SASL_SSL": f"{HOST}:{login}"}
    await broker.stop()


async def both_libraries_work(access: KafkaAccess) -> None:
    topic = f"secured-{secrets.token_hex(4)}"
    admin = KafkaAdmin(access)
    await asyncio.to_thread(admin.create_topics, [TopicPlan(topic, 1, 1, {})])
    sender = producer(access)
    await sender.start()
    await sender.send_and_wait(topic, b"v")
    await sender.stop()
    assert await asyncio.to_thread(admin.end_offsets, topic) == {0: 1}


async def test_mutual_tls(locked: dict[str, str], authority: Authority) -> None:
    certificate = authority.issue("detect")
    await both_libraries_work(KafkaAccess(locked["SSL"], "SSL", ca_file=authority.file, certificate_file=certificate))


async def test_login(locked: dict[str, str], authority: Authority) -> None:
    await both_libraries_work(
        KafkaAccess(locked["SASL_SSL"], "SASL_SSL", "PLAIN", "camera", "right", ca_file=authority.file)
    )


def test_a_wrong_password_is_a_persons_mistake(locked: dict[str, str], authority: Authority) -> None:
    access = KafkaAccess(locked["SASL_SSL"], "SASL_SSL", "PLAIN", "camera", "falsch", ca_file=authority.file)
    with pytest.raises(
        ServiceRefused, match=r"does not accept us .*correct username, password or certificates"
    ) as refusal:
        KafkaAdmin(access, timeout=2.0).topics()
    assert "falsch" not in str(refusal.value)


def test_a_certificate_of_somebody_else(locked: dict[str, str], tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    access = KafkaAccess(locked["SASL_SSL"], "SASL_SSL", "PLAIN", "camera", "right", ca_file=stranger.file)
    with pytest.raises(ServiceRefused, match="does not accept us"):
        KafkaAdmin(access, timeout=2.0).topics()
