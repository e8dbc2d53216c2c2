"""Which of Kafka's errors mean "ask again" and which need a person, and the one line that person reads."""

from __future__ import annotations

from confluent_kafka import KafkaError

from connectors import ServiceRefused, ServiceUnavailable

LATER = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._WAIT_COORD,
        KafkaError._DESTROY,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
NO_PERMISSION = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})


def identity_refused(error: KafkaError) -> bool:
    """Whether one side did not accept the other's login or certificate."""
    # A handshake that a dying broker cut short is an SSL error too, and no person's mistake.
    return error.code() in LOGIN or (error.code() == KafkaError._SSL and "certificate" in error.str())


def translated(bootstrap: str, what: str, error: KafkaError) -> ServiceRefused | ServiceUnavailable:
    """What a caller has to know of `error`; `what` completes "Kafka refused to ..."."""
    if identity_refused(error):
        return ServiceRefused(
            f"Kafka at {bootstrap} does not accept us ({error.str()}): correct username, password or certificates"
        )
    if error.code() in LATER or error.retriable():
        return ServiceUnavailable(f"Kafka at {bootstrap} does not answer: {error.str()}")
    if error.code() in NO_PERMISSION:
        return ServiceRefused(f"Kafka at {bootstrap} does not permit us to {what}: ask for the ACL")
    return ServiceRefused(f"Kafka at {bootstrap} refused to {what}: {error.str()}")
