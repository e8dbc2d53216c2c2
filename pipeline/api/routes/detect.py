"""Detect: the faces of an image, with a faceId each unless that is not wanted."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from pipeline.api import answers
from pipeline.api.errors import Problem, bad_argument
from pipeline.api.images import IMAGE_BODY, decoded
from pipeline.api.routes.faces import Detection
from pipeline.api.service import Asking
from pipeline.operations import detection
from pipeline.operations.detection import Detected, Wanted
from pipeline.records import RecognitionModel
from pipeline.settings.api import DetectionModel

router = APIRouter()

# Face contract, section 3: what each detection model says of a face, and what is said of nobody any more.
COMMON: Final = frozenset({"blur", "exposure", "glasses", "headPose", "occlusion", "qualityForRecognition"})
ATTRIBUTES: Final[dict[DetectionModel, frozenset[str]]] = {
    "detection_01": COMMON | {"accessories", "noise"},
    "detection_02": frozenset(),
    "detection_03": COMMON | {"mask"},
}
RETIRED: Final = frozenset({"age", "emotion", "facialHair", "gender", "hair", "makeup", "smile"})
JUDGED: Final = frozenset({"recognition_03", "recognition_04"})  # the models that qualityForRecognition is for


@router.post(
    "/detect", response_model=list[answers.DetectedFace], response_model_exclude_unset=True, openapi_extra=IMAGE_BODY
)
async def detect(
    asked: Asking,
    request: Request,
    detection_model: Detection = "detection_01",
    recognition_model: Annotated[RecognitionModel, Query(alias="recognitionModel")] = "recognition_01",
    face_id: Annotated[bool, Query(alias="returnFaceId")] = True,
    attributes: Annotated[str | None, Query(alias="returnFaceAttributes", max_length=1_024)] = None,
    landmarks: Annotated[bool, Query(alias="returnFaceLandmarks")] = False,
    with_model: Annotated[bool, Query(alias="returnRecognitionModel")] = False,
    seconds: Annotated[int, Query(alias="faceIdTimeToLive", ge=60, le=86_400)] = 86_400,
) -> Sequence[answers.DetectedFace]:
    if landmarks and detection_model == "detection_02":
        raise bad_argument("'returnFaceLandmarks' is not supported by detection_02.")
    wanted = Wanted(face_id, seconds, landmarks, _attributes(attributes, detection_model, recognition_model))
    service = asked.service
    recognition, finder = service.recognitions[recognition_model], service.detections[detection_model]
    async with service.images.of(request) as content, service.measuring.models(finder, recognition) as models:
        image = await asyncio.to_thread(decoded, content, models)
        found = await detection.detect(service.recogniser.faces, models, image, wanted)
    name = recognition_model if with_model and face_id else None
    return [_shown(each, name) for each in found]


def _attributes(given: str | None, finder: DetectionModel, measurer: RecognitionModel) -> frozenset[str]:
    names = frozenset(name.strip() for name in (given or "").split(",")) - {""}
    if names & RETIRED:
        raise Problem(403, "UnsupportedFeature", "Feature is not supported: the attribute is retired.")
    known = frozenset().union(*ATTRIBUTES.values())
    if not names <= known:
        raise bad_argument("'returnFaceAttributes' is invalid: it has an unknown attribute.")
    unsupported = names - ATTRIBUTES[finder]
    if unsupported or ("qualityForRecognition" in names and measurer not in JUDGED):
        listed = ", ".join(sorted(unsupported or {"qualityForRecognition"}))
        raise bad_argument(f"'returnFaceAttributes' is invalid: {listed} is not supported by these models.")
    return names


def _shown(face: Detected, model: RecognitionModel | None) -> answers.DetectedFace:
    box = face.box
    said: dict[str, Any] = {
        "face_rectangle": answers.Rectangle(top=box.top, left=box.left, width=box.width, height=box.height)
    }
    if face.face_id is not None:
        said["face_id"] = face.face_id
    if model is not None:
        said["recognition_model"] = model
    if face.landmarks is not None:
        said["face_landmarks"] = {name: answers.Point(x=x, y=y) for name, (x, y) in face.landmarks.items()}
    if face.attributes:
        said["face_attributes"] = dict(face.attributes)
    return answers.DetectedFace(**said)
