"""The secret rotation: it changes no comparison, is the same everywhere, and says nothing without its key."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.keystore import KeyDestroyed, KeyStore
from models.catalogue import Metric
from pipeline.wiring.comparison import similarities
from pipeline.wiring.galleries import rotation as module
from pipeline.wiring.galleries.rotation import Rotations, rotation

CHECKOUT = Path(__file__).parents[3]
Vectors = NDArray[np.float32]

DIMENSIONS = st.sampled_from((2, 3, 128, 256, 512))
METRICS: list[Metric] = ["cosine", "l2"]


def unit(count: int, dimension: int, seed: int) -> Vectors:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension))
    scaled: Vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def exact(metric: Metric, probes: Vectors, templates: Vectors) -> NDArray[np.float64]:
    """By the definition, in double precision."""
    one, other = probes.astype(np.float64), templates.astype(np.float64)
    if metric == "cosine":
        product: NDArray[np.float64] = one @ other.T
        return product
    distance: NDArray[np.float64] = 1.0 - np.linalg.norm(one[:, None] - other[None], axis=2)
    return distance


@pytest.mark.parametrize("metric", METRICS)
@given(st.binary(min_size=32, max_size=32), DIMENSIONS, st.integers(0, 2**32 - 1), st.floats(1e-4, 1.0))
@settings(max_examples=12, deadline=None)
def test_every_similarity_is_what_it_was(metric: Metric, seed: bytes, dimension: int, drawn: int, near: float) -> None:
    turn = rotation(seed, dimension)
    templates = unit(20, dimension, drawn)
    # Strangers, near relatives, and the templates themselves.
    relatives = templates + np.float32(near) * unit(20, dimension, drawn + 1)
    relatives /= np.linalg.norm(relatives, axis=1, keepdims=True)
    probes = np.concatenate((unit(20, dimension, drawn + 2), relatives, templates))
    before = exact(metric, probes, templates)
    turned = [(vectors.astype(np.float64) @ turn.T).astype(np.float32) for vectors in (probes, templates)]
    for after in (exact(metric, *turned), similarities(metric, *turned)):
        np.testing.assert_allclose(after, before, atol=1e-6, rtol=0)


@given(st.binary(min_size=32, max_size=32), DIMENSIONS)
@settings(max_examples=10, deadline=None)
def test_it_is_orthogonal_and_moves_what_it_turns(seed: bytes, dimension: int) -> None:
    turn = rotation(seed, dimension)
    np.testing.assert_allclose(turn @ turn.T, np.eye(dimension), atol=1e-12)
    other = rotation(bytes(byte ^ 1 for byte in seed), dimension)
    assert np.abs(turn - other).max() > 1e-3
    if dimension > 3:
        one = unit(1, dimension, 0)
        assert abs(float(one[0] @ (one @ turn.T)[0])) < 0.5


def test_it_is_drawn_evenly() -> None:
    """Of a uniform orthogonal matrix an entry has mean 0 and mean square 1/n, and the trace mean 0 and variance 1."""
    drawn = np.array([rotation(number.to_bytes(32, "big"), 4) for number in range(4000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=0.04)
    np.testing.assert_allclose((drawn**2).mean(axis=0), 0.25, atol=0.02)
    traces = np.trace(drawn, axis1=1, axis2=2)
    assert abs(traces.mean()) < 0.08
    assert abs(traces.var() - 1.0) < 0.12
    assert abs((np.linalg.det(drawn) > 0).mean() - 0.5) < 0.05


def test_any_order_of_summation_comes_to_the_same_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine's arithmetic: the last digits of every normal number differ, and nothing else is to follow."""
    expected = rotation(bytes(32), 256)
    normal = module._normal

    def another(seed: bytes, count: int) -> NDArray[np.float64]:
        numbers = normal(seed, count)
        shifted: NDArray[np.float64] = numbers * (1.0 + 1e-15 * np.sign(np.sin(np.arange(count))))
        return shifted

    monkeypatch.setattr(module, "_normal", another)
    np.testing.assert_allclose(rotation(bytes(32), 256), expected, atol=1e-10)


GOLDEN = [
    [-0.54027873, -0.23284671, -0.80862927],
    [0.80954999, -0.40605178, -0.42397028],
    [-0.22962528, -0.88368791, 0.40788218],
]


def test_it_is_the_one_that_was_made_before() -> None:
    """A release that came to another matrix could not search what this one stored."""
    # The first row is the direction of the first normal numbers, by Box and Muller from ChaCha20's stream.
    turn = rotation(bytes(range(32)), 3)
    np.testing.assert_allclose(turn, GOLDEN, atol=1e-6)


def test_every_process_derives_the_same_and_a_destroyed_key_gives_none(tmp_path: Path) -> None:
    keys = KeyStore.create(tmp_path / "keys")
    rotations, vectors = Rotations(keys), unit(2, 128, 0)
    for name in ("small_retail__1", "small_retail__2"):
        rotations.draw(name)
        assert rotations.drawn(name)
    first, second = (rotations.turned(f"small_retail__{number}", vectors) for number in (1, 2))
    assert np.abs(first @ second.T).max() < 0.5
    code = (
        "from pathlib import Path; import sys; import numpy as np; from connectors.keystore import KeyStore\n"
        "from pipeline.wiring.galleries.rotation import Rotations\n"
        f"keys = KeyStore.create(Path({str(tmp_path / 'keys')!r}))\n"
        "vectors = np.frombuffer(sys.stdin.buffer.read(), np.float32).reshape(2, 128)\n"
        "sys.stdout.buffer.write(Rotations(keys).turned('small_retail__1', vectors).tobytes())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=vectors.tobytes(), stdout=subprocess.PIPE, cwd=CHECKOUT, check=True
    )
    np.testing.assert_allclose(np.frombuffer(done.stdout, np.float32).reshape(2, 128), first, atol=1e-6)
    kid = keys.known("galleries/small_retail__1")
    rotations.destroy("small_retail__1")
    rotations.destroy("small_retail__1")
    rotations.destroy("small_retail__of_nobody")
    assert not keys.alive(kid)
    assert not rotations.drawn("small_retail__1")
    for gone in ("small_retail__1", "small_retail__of_nobody"):
        with pytest.raises(KeyDestroyed):
            rotations.turned(gone, vectors)
    with pytest.raises(KeyDestroyed):
        rotations.draw("small_retail__1")
    keys.close()
