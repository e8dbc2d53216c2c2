"""What answers say, field by field as the contract has it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Status = Literal["notStarted", "running", "succeeded", "failed"]


class Answer(BaseModel):
    """A JSON answer; a field that was not set does not appear."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ErrorDetail(Answer):
    """What went wrong."""

    code: str
    message: str


class Error(Answer):
    """The body of every answer that is no success."""

    error: ErrorDetail


class Rectangle(Answer):
    """Pixels of the upright image."""

    top: int
    left: int
    width: int
    height: int


class Point(Answer):
    """Pixels of the upright image."""

    x: float
    y: float


class DetectedFace(Answer):
    """A face of an image; what was not asked for does not appear."""

    face_rectangle: Rectangle
    face_id: str | None = None
    recognition_model: str | None = None
    face_landmarks: dict[str, Point] | None = None
    face_attributes: dict[str, Any] | None = None


class PersonCreated(Answer):
    person_id: str


class FaceAdded(Answer):
    persisted_face_id: str


class PersistedFace(Answer):
    """An enrolled face, as whoever enrolled it described it."""

    persisted_face_id: str
    user_data: str | None


class Person(Answer):
    """A person of a group."""

    person_id: str
    name: str | None
    user_data: str | None
    persisted_face_ids: list[str]


class DirectoryPerson(Answer):
    """A person of the PersonDirectory."""

    person_id: str
    name: str | None
    user_data: str | None


class PersonFaces(Answer):
    """The faces of a person of the PersonDirectory, of one recognition model."""

    person_id: str
    persisted_face_ids: list[str]


class PersonIds(Answer):
    person_ids: list[str]


class GroupReferences(Answer):
    dynamic_person_group_ids: list[str]


class Collection(Answer):
    """What all lists and groups have in common; each kind calls its id otherwise."""

    name: str | None
    user_data: str | None
    recognition_model: str | None = None


class FaceListHead(Collection):
    face_list_id: str


class FaceList(FaceListHead):
    persisted_faces: list[PersistedFace]


class LargeFaceList(Collection):
    large_face_list_id: str


class PersonGroup(Collection):
    person_group_id: str


class LargePersonGroup(Collection):
    large_person_group_id: str


class DynamicPersonGroup(Answer):
    dynamic_person_group_id: str
    name: str | None
    user_data: str | None


class Training(Answer):
    """How far a training is."""

    status: Status
    created_date_time: datetime
    last_action_date_time: datetime | None
    last_successful_training_date_time: datetime | None
    message: str | None


class Operation(Answer):
    """How far a long-running operation is."""

    operation_id: str
    status: Status
    created_time: datetime
    last_action_time: datetime | None
    finished_time: datetime | None
    message: str | None


class Verified(Answer):
    is_identical: bool
    confidence: float


class Candidate(Answer):
    person_id: str
    confidence: float


class Identified(Answer):
    face_id: str
    candidates: list[Candidate]


class Similar(Answer):
    """A face like the one that was asked about: of the question's faceIds, or of a list."""

    confidence: float
    face_id: str | None = None
    persisted_face_id: str | None = None


class Grouped(Answer):
    groups: list[list[str]]
    messy_group: list[str]
