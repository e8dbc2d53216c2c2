"""What only a real Milvus can show: order, scale and freshness of answers, and that no vector leaks into an error."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from concurrent import futures
from uuid import uuid4

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient  # type: ignore[import-untyped]

from connectors import ServiceRefused, ServiceUnavailable, vectors
from connectors.milvus import Hit, Metric, Milvus, MilvusFault, NoSuchCollection, Row, VectorRefused

pytestmark = pytest.mark.milvus

DIMENSION = 8
NAMES = (f"gallery_{number}" for number in itertools.count())


@pytest.fixture
def store(milvus: str) -> Iterator[Milvus]:
    client = Milvus(milvus)
    yield client
    client.close()


@pytest.fixture
def name(store: Milvus) -> Iterator[str]:
    name = next(NAMES)
    yield name
    store.drop(name)


def unit(count: int, dimension: int = DIMENSION, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension))
    scaled: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def rows(vectors: NDArray[np.float32], gallery: str = "g1") -> list[Row]:
    return [Row(f"{gallery}-{n}", gallery, f"person-{n}", f"key-{n}", vector) for n, vector in enumerate(vectors)]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_candidates_agree_with_exact_arithmetic(store: Milvus, name: str, metric: Metric) -> None:
    enrolled, probes = unit(300), unit(70, seed=1)
    if metric == "l2":
        enrolled, probes = enrolled * np.float32(1.5), probes * np.float32(0.7)
    store.ensure(name, DIMENSION, metric)
    store.upsert(name, rows(enrolled))
    differences = np.linalg.norm(probes[:, None] - enrolled[None], axis=2)
    exact = probes @ enrolled.T if metric == "cosine" else 1.0 - differences
    for flushed in (False, True):
        if flushed:
            store.flush(name)
        for hits, similarities in zip(store.search(name, probes, "g1", 5), exact, strict=True):
            best = np.argsort(-similarities)[:5]
            assert [hit.id for hit in hits] == [f"g1-{n}" for n in best]
            np.testing.assert_allclose([hit.similarity for hit in hits], similarities[best], atol=1e-4)


def test_a_candidate_carries_its_person_and_key(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    vector = unit(1)
    store.upsert(name, [Row(f"{uuid4()}/{uuid4()}", "g1", "", "k1", vector[0])])
    (hit,) = store.search(name, vector, "g1", 10)[0]
    assert hit == Hit(hit.id, "", "k1", hit.similarity)
    assert hit.similarity == pytest.approx(1.0, abs=1e-5)
    assert "/" in hit.id


def test_a_search_stays_inside_its_gallery(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    for gallery in ("a", "b"):
        store.upsert(name, rows(unit(40), gallery))
    assert {hit.id[0] for hits in store.search(name, unit(3), "a", 100) for hit in hits} == {"a"}
    assert store.search(name, unit(2), "empty", 5) == [[], []]


def test_writes_and_deletions_are_seen_at_once(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    vectors = unit(30)
    store.upsert(name, rows(vectors))
    store.upsert(name, rows(vectors)[:3])
    assert store.count(name) == 30
    for flushed in (False, True):
        store.delete(name, ["g1-1", "never-there"] if not flushed else ["g1-2"])
        if flushed:
            store.flush(name)
        gone = {"g1-1"} if not flushed else {"g1-1", "g1-2"}
        found = {hit.id for hit in store.search(name, vectors[:1], "g1", 100)[0]}
        assert found == {f"g1-{n}" for n in range(30)} - gone
    assert store.count(name) == 28


def test_an_upsert_replaces_also_within_one_request(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    first, second, third = unit(3)
    store.upsert(name, [Row("x", "g1", "old", "k1", first)])
    store.upsert(name, [Row("x", "g1", "newer", "k2", second), Row("x", "g1", "newest", "k3", third)])
    (hit,) = store.search(name, third[None], "g1", 10)[0]
    assert (hit.person, hit.key_id, store.count(name)) == ("newest", "k3", 1)


def test_all_ids_are_listed_over_several_batches(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    store.upsert(name, rows(unit(2500)))
    store.delete(name, ["g1-7"])
    listed = list(store.ids(name))
    assert len(listed) == 2499
    assert set(listed) == {f"g1-{n}" for n in range(2500)} - {"g1-7"}


def test_vectors_are_given_back_as_they_lie_there(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    vectors = unit(2)
    store.upsert(name, rows(vectors))
    held = store.vectors(name, ["g1-1", "g1-9"])
    assert held.keys() == {"g1-1"}
    assert np.array_equal(held["g1-1"], vectors[1])


def test_ensure_is_repeatable_and_refuses_another_form(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    store.upsert(name, rows(unit(2)))
    store.ensure(name, DIMENSION, "cosine")
    assert store.count(name) == 2
    with pytest.raises(ServiceRefused, match=f"{name} holds 8-d cosine vectors, wanted 16-d cosine"):
        store.ensure(name, 16, "cosine")
    with pytest.raises(ServiceRefused, match="wanted 8-d l2"):
        store.ensure(name, DIMENSION, "l2")


def test_a_foreign_collection_is_refused(store: Milvus, name: str, milvus: str) -> None:
    stranger = MilvusClient(milvus, dedicated=True)
    schema = stranger.create_schema()
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    stranger.create_collection(name, schema=schema)
    stranger.close()
    with pytest.raises(ServiceRefused, match="is not a gallery of Faceline"):
        store.ensure(name, DIMENSION, "cosine")


def test_a_collection_that_is_not_there_says_so(store: Milvus) -> None:
    for call in (
        lambda: store.search("absent", unit(1), "g1", 1),
        lambda: store.upsert("absent", rows(unit(1))),
        lambda: store.count("absent"),
        lambda: list(store.ids("absent")),
    ):
        with pytest.raises(NoSuchCollection, match="no collection absent"):
            call()
    store.drop("absent")


def test_a_collection_dropped_and_made_anew_is_not_mistaken(store: Milvus, name: str, milvus: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    other = Milvus(milvus)
    other.drop(name)
    with pytest.raises(NoSuchCollection):
        store.search(name, unit(1), "g1", 1)
    other.ensure(name, 16, "l2")
    other.close()
    assert store.search(name, unit(1, 16), "g1", 1) == [[]]
    assert name in store.names()


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        (np.full(DIMENSION, np.nan, np.float32), "not finite"),
        (np.full(DIMENSION, np.inf, np.float32), "not finite"),
        (np.zeros(DIMENSION, np.float32), "unit length"),
        (unit(1)[0] * np.float32(1.01), "unit length"),
        (unit(1, 16)[0], r"shape \(16,\)"),
        (unit(1)[0].astype(np.float64), "float64"),
    ],
)
def test_a_bad_vector_is_refused_without_being_quoted(
    store: Milvus, name: str, vector: NDArray[np.float32], reason: str
) -> None:
    store.ensure(name, DIMENSION, "cosine")
    bad = Row("x", "g1", "p", "k", vector)
    with pytest.raises(VectorRefused, match=reason) as refusal:
        store.upsert(name, [*rows(unit(2)), bad])
    with pytest.raises(VectorRefused):
        store.search(name, vector[None], "g1", 1)
    assert str(float(vector[0]))[:5] not in str(refusal.value)
    assert "vector=" not in repr(bad)
    assert store.count(name) == 0


@pytest.mark.parametrize("word", ['g" or id != "', "", "g1'", "a b", "a\\", "x" * 65, "gallery/one", "ä"])
def test_words_that_could_leave_their_quotes_are_refused(store: Milvus, name: str, word: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    with pytest.raises(VectorRefused):
        store.search(name, unit(1), word, 1)
    with pytest.raises(VectorRefused):
        store.upsert(name, [Row("x", word, "p", "k", unit(1)[0])])
    if word != "gallery/one":
        with pytest.raises(VectorRefused):
            store.delete(name, [word])
    with pytest.raises(ServiceRefused, match="a collection name must be"):
        store.flush(f"{word} ")


def test_a_limit_out_of_range_is_refused(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    for limit in (0, 16385):
        with pytest.raises(ValueError, match=f"a limit of {limit}"):
            store.search(name, unit(1), "g1", limit)


def test_a_fault_of_milvus_quotes_no_vector(
    store: Milvus, name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    store.ensure(name, DIMENSION, "cosine")
    client = store._connected()
    with pytest.raises(MilvusFault) as fault:
        store._ask(lambda _: client.upsert(name, [{"id": "x", "vector": [0.123456, 0.5]}]), name)
    assert "0.123" not in str(fault.value)
    assert fault.value.__cause__ is None
    assert fault.value.__context__ is None
    assert "0.123" not in caplog.text + "".join(capfd.readouterr())


def test_the_version_names_the_engine(store: Milvus) -> None:
    assert store.version().startswith("milvus_lite")


def test_a_closed_port_is_an_absent_service() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    milvus = Milvus(f"http://127.0.0.1:{port}", timeout=1.0)
    with pytest.raises(ServiceUnavailable, match=f"127.0.0.1:{port} does not answer"):
        milvus.names()


@pytest.mark.parametrize("address", ["./milvus.db", "127.0.0.1:19530", "", "http://"])
def test_an_address_that_would_open_milvus_in_this_process_is_refused(address: str) -> None:
    with pytest.raises(ServiceRefused, match="is not http://host:port"):
        Milvus(address)


def test_a_refused_token_is_a_persons_mistake() -> None:
    class Guarded(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _details: object) -> object:
            def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key is correct")
                return b""

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[Guarded()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(ServiceRefused, match="refuses our token") as refusal:
            Milvus(f"http://127.0.0.1:{port}", "root:secret", timeout=2.0).names()
        assert "secret" not in str(refusal.value)
    finally:
        server.stop(None).wait()


def test_an_alias_stands_for_one_collection_and_is_moved_only_on_purpose(store: Milvus, name: str) -> None:
    other, alias = f"{name}_other", f"{name}_alias"
    for each, seed in ((name, 0), (other, 1)):
        store.ensure(each, DIMENSION, "cosine")
        store.upsert(each, [Row(each, "g1", "p", "k", unit(1, seed=seed)[0])])
    assert store.target(alias) is None
    store.point(alias, name)
    store.point(alias, other)
    assert (store.target(alias), store.form(alias)) == (name, (DIMENSION, "cosine"))
    assert [hit.id for hit in store.search(alias, unit(1), "g1", 5)[0]] == [name]
    store.point(alias, other, moving=True)
    assert [hit.id for hit in store.search(alias, unit(1), "g1", 5)[0]] == [other]
    assert (list(store.ids(alias)), store.target(alias), alias in store.names()) == ([other], other, False)
    store.drop(other)
    assert store.target(alias) is None
    with pytest.raises(NoSuchCollection):
        store.search(alias, unit(1), "g1", 1)


def test_a_renamed_collection_is_found_under_its_new_name_alone(store: Milvus, name: str) -> None:
    store.ensure(f"{name}_before", DIMENSION, "cosine")
    store.upsert(f"{name}_before", rows(unit(3)))
    store.rename(f"{name}_before", name)
    assert len(store.search(name, unit(1), "g1", 5)[0]) == 3
    with pytest.raises(NoSuchCollection):
        store.search(f"{name}_before", unit(1), "g1", 1)


def test_who_is_admitted_is_said_in_parts(store: Milvus, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.ensure(name, DIMENSION, "cosine")
    store.upsert(name, rows(unit(30)))
    monkeypatch.setattr(vectors, "PERSONS_AT_ONCE", 3)
    persons = [f"person-{n}" for n in range(0, 20, 2)]
    (found,) = store.search(name, unit(1, seed=4), "g1", 6, persons)
    exact = sorted(persons, key=lambda person: -float(unit(1, seed=4)[0] @ unit(30)[int(person[7:])]))
    assert [hit.person for hit in found] == exact[:6]
    with pytest.raises(VectorRefused):
        store.search(name, unit(1), "g1", 1, ['p" or person != "'])


def test_it_says_whether_any_of_these_rows_is_there(store: Milvus, name: str) -> None:
    store.ensure(name, DIMENSION, "cosine")
    assert not store.holds(name, ["g1-0"])
    store.upsert(name, rows(unit(5)))
    for flushed in (False, True):
        if flushed:
            store.flush(name)
        assert store.holds(name, ["g1-0"])
        assert store.holds(name, ["nobody", "g1-4"])
        assert not store.holds(name, ["nobody"])
        assert not store.holds(name, [])
    store.delete(name, ["g1-0"])
    assert not store.holds(name, ["g1-0"])
    with pytest.raises(VectorRefused):
        store.holds(name, ['" or true'])
    with pytest.raises(NoSuchCollection):
        store.holds("gallery_of_nobody", ["g1-0"])
