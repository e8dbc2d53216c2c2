"""What requests say, field by field as the contract has it; a field that it does not have is ignored."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from pipeline.records import RecognitionModel

MatchMode = Literal["matchPerson", "matchFace"]

PAGE: Final = 1_000


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise PydanticCustomError("uuid", "it is no UUID") from None


Uuid = Annotated[str, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
OwnId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=128)]
UserData = Annotated[str, Field(max_length=16_384)]
FaceUserData = Annotated[str, Field(max_length=1_024)]
TargetFace = Annotated[str, Field(pattern=r"^\d{1,6},\d{1,6},\d{1,6},\d{1,6}$")]

# Of paths and queries.
PersonId = Annotated[Uuid, Path(alias="personId")]
PersistedFaceId = Annotated[Uuid, Path(alias="persistedFaceId")]
Start = Annotated[str | None, Query(max_length=64, description="list what comes after this id")]
Top = Annotated[int, Query(ge=1, le=PAGE, description="how many to list")]
WithModel = Annotated[bool, Query(alias="returnRecognitionModel")]


class Body(BaseModel):
    """A JSON body."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, hide_input_in_errors=True)


class CreateCollection(Body):
    """A list or a group of persons to make."""

    name: Name
    user_data: UserData | None = None
    recognition_model: RecognitionModel = "recognition_01"


class Update(Body):
    """A new name or userData, of a collection or of a person; what is not said stays."""

    name: Name | None = None
    user_data: UserData | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Update":
        if self.name is None and self.user_data is None:
            raise ValueError("'name' and 'userData' are both empty.")
        return self


class CreatePerson(Body):
    """A person to make."""

    name: Name
    user_data: UserData | None = None


class UpdateFace(Body):
    """New userData of a face."""

    user_data: FaceUserData


class CreateDynamicGroup(Body):
    """A group of persons of the directory."""

    name: Name
    user_data: UserData | None = None
    add_person_ids: tuple[Uuid, ...] | None = None


class UpdateDynamicGroup(Body):
    """Who joins and who leaves a group, and a new name or userData."""

    name: Name | None = None
    user_data: UserData | None = None
    add_person_ids: tuple[Uuid, ...] | None = None
    remove_person_ids: tuple[Uuid, ...] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "UpdateDynamicGroup":
        if (self.name, self.user_data) == (None, None) and not self.changes_members:
            raise ValueError("'name', 'userData', 'addPersonIds' and 'removePersonIds' are all empty.")
        return self

    @property
    def changes_members(self) -> bool:
        """Whether anybody joins or leaves."""
        return bool(self.add_person_ids or self.remove_person_ids)


class Verify(Body):
    """Two faces, or a face and a person of a group or of the directory."""

    face_id1: Uuid | None = Field(default=None, alias="faceId1")
    face_id2: Uuid | None = Field(default=None, alias="faceId2")
    face_id: Uuid | None = None
    person_id: Uuid | None = None
    person_group_id: OwnId | None = None
    large_person_group_id: OwnId | None = None

    @model_validator(mode="after")
    def _one_question(self) -> "Verify":
        pair, single = (self.face_id1, self.face_id2), (self.face_id, self.person_id)
        groups = (self.person_group_id, self.large_person_group_id)
        to_face = None not in pair and single == groups == (None, None)
        to_person = None not in single and pair == (None, None) and None in groups
        if not to_face and not to_person:
            raise ValueError(
                "Request body is invalid: give 'faceId1' and 'faceId2', or 'faceId' and 'personId' with at most one of "
                "'personGroupId' and 'largePersonGroupId'."
            )
        return self


class Identify(Body):
    """Faces, and where to look for their persons."""

    face_ids: tuple[Uuid, ...] = Field(min_length=1, max_length=10)
    person_group_id: OwnId | None = None
    large_person_group_id: OwnId | None = None
    dynamic_person_group_id: OwnId | None = None
    person_ids: tuple[Uuid | Literal["*"], ...] | None = Field(default=None, min_length=1, max_length=30)
    max_num_of_candidates_returned: int = Field(default=10, ge=1, le=100)
    confidence_threshold: float | None = Field(default=None, ge=0, le=1)


class FindSimilar(Body):
    """A face, and where to look for those like it."""

    face_id: Uuid
    face_ids: tuple[Uuid, ...] | None = Field(default=None, min_length=1, max_length=1_000)
    face_list_id: OwnId | None = None
    large_face_list_id: OwnId | None = None
    max_num_of_candidates_returned: int = Field(default=20, ge=1, le=1_000)
    mode: MatchMode = "matchPerson"

    @model_validator(mode="after")
    def _one_place(self) -> "FindSimilar":
        places = (self.face_ids, self.face_list_id, self.large_face_list_id)
        if sum(place is not None for place in places) != 1:
            raise ValueError("Exactly one of 'faceIds', 'faceListId' and 'largeFaceListId' must be given.")
        return self


class Group(Body):
    """Faces to group."""

    face_ids: tuple[Uuid, ...] = Field(min_length=2, max_length=1_000)
