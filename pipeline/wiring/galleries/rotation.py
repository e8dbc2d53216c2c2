"""The secret rotation under which a generation's vectors lie in Milvus.

A generation stores Qx where a template is x. Q keeps every angle and every distance, so a search by Qy finds what a
search by y would; and whoever has the files, but not the key, cannot lay them beside another face or another
generation. It is no encryption: as many known pairs of x and Qx as there are dimensions give Q, and who resembles whom
within a generation can be seen.

Q is made from a data key of the generation's own and never written down. The key ends with the generation.
"""

import threading
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from cachetools import LRUCache
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from connectors import ServiceRefused
from connectors.keystore import KeyDestroyed, KeyStore

PURPOSE: Final = b"rotation of a gallery's vectors, 1"
NAME: Final = "galleries/"
# Of 2 MiB each at 512 dimensions; an evicted one costs its derivation again.
KEPT: Final = 32

Vectors = NDArray[np.float32]
Wide = NDArray[np.float64]


def rotation(seed: bytes, dimension: int) -> Wide:
    """An orthogonal matrix (dimension, dimension), float64, uniform (Haar) over what the 32 bytes of `seed` can choose.

    A product of Householder reflections of normal vectors of dimension, dimension - 1, .. 1 components, and of signs
    (G. W. Stewart, The efficient generation of random orthogonal matrices, SIAM J. Numer. Anal. 17, 1980): what the QR
    decomposition of a normal matrix is, once its signs are made unique. Every machine comes to the same matrix: the
    stream is ChaCha20's, the normal numbers are Box and Muller's, and reflections are multiplied without a pivot to
    choose: another order of summation, another logarithm or cosine costs some 1e-15 an entry and a reflection, 1e-12 in
    the end, where a stored float32 is rounded at 6e-8. Only a sign would be another one, for a number within 1e-15 of
    zero: once in 10^12 matrices. A factorisation of LAPACK's promises its backward error alone, which the condition of
    a random matrix multiplies.
    """
    normal = _normal(seed, dimension * (dimension + 1) // 2)
    # Held the other way round: what changes, step by step, are then whole rows.
    held = np.eye(dimension)
    used = 0
    for first in range(dimension):
        mirror = normal[used : used + dimension - first].copy()
        used += dimension - first
        sign = 1.0 if mirror[0] >= 0.0 else -1.0
        mirror[0] += sign * np.linalg.norm(mirror)
        mirror /= np.linalg.norm(mirror)
        below = held[first:]
        below -= np.outer(2.0 * mirror, mirror @ below)
        below *= -sign
    return held


def _normal(seed: bytes, count: int) -> Wide:
    """So many independent standard normal numbers, by Box and Muller from ChaCha20's stream under a key of its own."""
    pairs = (count + 1) // 2
    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(16 * pairs))
    # 53 random bits each; the first of a pair in (0, 1], because its logarithm is taken.
    uniform = (np.frombuffer(stream, "<u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform[:pairs]))
    angle = 2.0 * np.pi * uniform[pairs:]
    both: Wide = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)))
    return both[:count]


@dataclass(frozen=True, slots=True)
class Rotations:
    """The rotation of every generation, from its key in `keys`; thread-safe, each derived once a process."""

    keys: KeyStore
    _kept: LRUCache[str, Wide] = field(default_factory=lambda: LRUCache(KEPT))
    _deriving: threading.Lock = field(default_factory=threading.Lock)

    def draw(self, generation: str) -> None:
        """Make its key, unless it has one; KeyDestroyed where it had one: nothing is called like that ever again."""
        self.keys.named(NAME + generation, None)

    def drawn(self, generation: str) -> bool:
        """Whether it has a key that lives."""
        try:
            return self.keys.alive(self.keys.known(NAME + generation))
        except KeyDestroyed:
            return False

    def turned(self, generation: str, vectors: Vectors) -> Vectors:
        """Vectors (n, dimension) as they lie in this generation; KeyDestroyed where it has no key.

        In double precision: so the stored bytes are the same whatever else was in the batch, and can be searched for.
        """
        turned: Wide = vectors.astype(np.float64) @ self._matrix(generation, vectors.shape[-1]).T
        return turned.astype(np.float32)

    def destroy(self, generation: str) -> None:
        """Destroy its key, for ever; nothing where it has none."""
        try:
            kid = self.keys.known(NAME + generation)
        except KeyDestroyed:
            return
        self.keys.destroy([kid])
        self._forget(generation)

    def _matrix(self, generation: str, dimension: int) -> Wide:
        try:
            seed = self.keys.derive(self.keys.known(NAME + generation), PURPOSE)
        except KeyDestroyed:
            self._forget(generation)
            raise
        with self._deriving:
            kept = self._kept.get(generation)
            if kept is None:
                kept = self._kept[generation] = rotation(seed, dimension)
        return kept

    def _forget(self, generation: str) -> None:
        with self._deriving:
            self._kept.pop(generation, None)


def without_key(generation: str) -> ServiceRefused:
    """What to say of a generation whose vectors cannot be searched, nor others be added."""
    return ServiceRefused(
        f"the Milvus collection {generation} has no key in this key store: it is of an earlier release or of another "
        "deployment, or its key was destroyed; make it anew with faceline gallery rebuild"
    )
