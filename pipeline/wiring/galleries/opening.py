"""Opens templates at use: of probes, and of whoever is enrolled. None once the key is destroyed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from models.catalogue import Catalogue
from pipeline.codec import unseal
from pipeline.identifiers import template_key, template_owner
from pipeline.records import Face, Template
from pipeline.topology import FACES, TEMPLATES


@dataclass(frozen=True, slots=True)
class Templates:
    """Vectors float32 (dimension of the template's pack,); never kept here."""

    keys: KeyStore
    catalogue: Catalogue

    def of_face(self, face: Face) -> NDArray[np.float32] | None:
        return self._vector(
            face.recognition.pack,
            lambda: unseal(
                self.keys, face.template, topic=FACES, key=face.face_id, field="template", expires=face.expires
            ),
        )

    def enrolled(self, template: Template) -> NDArray[np.float32] | None:
        key = template_key(template_owner(template), template.persisted_face_id)
        return self._vector(
            template.recognition.pack,
            lambda: unseal(self.keys, template.vector, topic=TEMPLATES, key=key, field="vector"),
        )

    def _vector(self, pack: str, opened: Callable[[], bytes]) -> NDArray[np.float32] | None:
        try:
            vector = np.frombuffer(opened(), "<f4")
        except (KeyDestroyed, SealBroken):
            return None
        return vector if vector.shape == (self.catalogue.pack(pack).dimension,) else None
