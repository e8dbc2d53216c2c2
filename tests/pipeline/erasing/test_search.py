"""What is planted is found: every form of a template, at every place, whole or 32 bytes of it, and nothing else is."""

import base64
import io
import json
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.erasing import search
from pipeline.erasing.encodings import Vector, forms, read_vectors
from pipeline.erasing.search import Needle, Search


def vector(seed: int, dimension: int = 512) -> Vector:
    drawn = np.random.default_rng(seed).standard_normal(dimension)
    unit: Vector = (drawn / np.linalg.norm(drawn)).astype(np.float32)
    return unit


def noise(length: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(length)


FORMS = forms(vector(7))
EVERY = Search([Needle(name, text) for name, text in FORMS.items()])


def found(haystack: bytes) -> set[tuple[str, int]]:
    return set(EVERY.stream(io.BytesIO(haystack)))


@given(st.sampled_from(sorted(FORMS)), st.integers(0, 5000), st.integers(0, 200), st.integers(0, 10))
def test_every_form_is_found_at_any_place(name: str, before: int, behind: int, seed: int) -> None:
    assert (name, before) in found(noise(before, seed) + FORMS[name] + noise(behind, seed + 100))


@given(st.sampled_from(sorted(FORMS)), st.integers(0, 600), st.data())
def test_32_bytes_of_a_form_are_enough(name: str, before: int, data: st.DataObject) -> None:
    text = FORMS[name]
    cut = data.draw(st.integers(0, len(text) - search.RUN))
    names = {hit for hit, _ in found(noise(before) + text[cut : cut + search.RUN] + noise(50, 2))}
    assert name in names


@pytest.mark.parametrize("boundary", range(-70, 70, 7))
def test_what_lies_across_two_chunks_is_found_once(boundary: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK", 4096)
    before = 8192 - 32 + boundary
    hits = list(EVERY.stream(io.BytesIO(noise(before) + FORMS["float32"][:64] + noise(9000, 3))))
    assert [hit for hit in hits if hit.name == "float32"] == [("float32", before)]


def test_nothing_is_found_in_noise_in_zeros_and_in_another_template() -> None:
    other = b"".join(forms(vector(8)).values())
    assert found(noise(1 << 20) + bytes(1 << 16) + b" " * 5000 + other) == set()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("JSON of doubles, ', '", lambda v: json.dumps({"v": v.tolist()}).encode()),
        ("JSON of doubles, ','", lambda v: json.dumps(v.tolist(), separators=(",", ":")).encode()),
        ("float32", lambda v: b"\x93NUMPY" + v.tobytes()),
        ("float16", lambda v: v.astype(np.float16).tobytes()),
        ("hex", lambda v: v.tobytes().hex().encode()),
    ],
)
def test_what_other_programs_write_is_what_is_searched(name: str, written: Callable[[Vector], bytes]) -> None:
    assert name in {hit for hit, _ in found(b"..." + written(vector(7)) + b"...")}


@pytest.mark.parametrize("alignment", range(3))
def test_base64_is_found_whatever_stands_before_it(alignment: int) -> None:
    raw = noise(alignment + 3) + vector(7).tobytes() + noise(5)
    assert any(name.startswith("base64 at") for name, _ in found(base64.b64encode(raw)))
    assert any(name.startswith("base64url at") for name, _ in found(base64.urlsafe_b64encode(raw)))


def test_ids_are_found_by_the_thousand() -> None:
    ids = [noise(16, seed).hex() for seed in range(5000)]
    hunt = Search([Needle(each, each.encode()) for each in ids])
    text = b'{"kid":"' + ids[17].encode() + b'"} ' + noise(32, 6000).hex().encode() + ids[4999].encode()
    assert {name for name, _ in hunt.pieces([text])} == {ids[17], ids[4999]}


@given(st.text("0f", min_size=32, max_size=32), st.integers(0, 100), st.binary(max_size=40))
def test_an_id_however_monotonous_is_found(kid: str, before: int, behind: bytes) -> None:
    text = noise(before, 3) + kid.encode() + behind
    assert kid in {name for name, _ in Search([Needle(kid, kid.encode())]).pieces([text])}


def test_a_short_needle_is_refused_and_no_needle_finds_nothing() -> None:
    with pytest.raises(ValueError, match="fewer than 32"):
        Search([Needle("a", b"a" * 31)])
    assert list(Search([]).pieces([noise(100)])) == []


def test_a_gigabyte_takes_seconds(record_property: Callable[[str, object], None]) -> None:
    haystack = noise(64 << 20)
    began = time.process_time()
    assert not list(EVERY.stream(io.BytesIO(haystack)))
    seconds = time.process_time() - began
    record_property("seconds of processor per GB", round(seconds * 16, 2))
    assert seconds * 16 < 16


def test_given_vectors_are_read_and_faults_quote_nothing() -> None:
    assert [each.shape for each in read_vectors("c.json", json.dumps([vector(1).tolist()] * 2).encode())] == [
        (512,)
    ] * 2
    assert np.array_equal(read_vectors("c.json", json.dumps(vector(1).tolist()).encode())[0], vector(1))
    for wrong in (b"\xff", b"{}", b'["secret"]', b"[1, 2]", json.dumps([float("nan")] * 64).encode(), b"[[1], [1, 2]]"):
        with pytest.raises(ValueError, match=r"c\.json holds no vectors") as refusal:
            read_vectors("c.json", wrong)
        assert "secret" not in str(refusal.value)
