"""The kinds of lists and groups: where each is, what its id is called, and how it is shown."""

from dataclasses import dataclass
from typing import Any, Final

from pipeline.api import answers
from pipeline.records import CollectionKind


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: `path` below the version's address, `id_name` in paths and bodies, `answer` how it is shown."""

    kind: CollectionKind
    path: str
    id_name: str
    answer: type[answers.Collection]

    def shown(self, collection_id: str, **said: Any) -> answers.Collection:
        """The collection as an answer."""
        return self.answer.model_validate({self.id_name: collection_id, **said})

    def scope(self, collection_id: str) -> str:
        """What the operations call it."""
        return f"{self.kind}/{collection_id}"


FACE_LIST: Final = Kind("facelist", "facelists", "faceListId", answers.FaceListHead)
LARGE_FACE_LIST: Final = Kind("largefacelist", "largefacelists", "largeFaceListId", answers.LargeFaceList)
PERSON_GROUP: Final = Kind("persongroup", "persongroups", "personGroupId", answers.PersonGroup)
LARGE_PERSON_GROUP: Final = Kind(
    "largepersongroup", "largepersongroups", "largePersonGroupId", answers.LargePersonGroup
)
