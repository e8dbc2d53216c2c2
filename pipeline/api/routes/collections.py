"""Lists and groups of persons: make one, show it, rename it, forget it, list them; and the training of the large."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from pipeline.api import answers
from pipeline.api.bodies import CreateCollection, Start, Top, Update, WithModel
from pipeline.api.kinds import FACE_LIST, Kind
from pipeline.api.service import RETRY, Asked, Asking, Current, done
from pipeline.operations import collections, enrolled

# What was not asked for, such as the recognition model, does not appear.
SPARE: Final[dict[str, Any]] = {"response_model_exclude_unset": True}


def own_id(kind: Kind) -> Any:
    """The path parameter with a collection's id."""
    return id_of(kind.id_name)


def id_of(name: str) -> Any:
    """The path parameter of this name, with an id of the caller's choice."""
    return Path(alias=name, min_length=1, max_length=64, pattern=r"^[a-z0-9_-]+$")


def head(kind: Kind, shown: collections.Shown, *, with_model: bool) -> answers.Collection:
    """A collection as its answer."""
    collection = shown.collection
    said: dict[str, Any] = {"name": shown.name, "userData": shown.user_data}
    if with_model and collection.recognition is not None:
        said["recognitionModel"] = collection.recognition.name
    return kind.shown(collection.id, **said)


def administration(kind: Kind) -> APIRouter:
    """Make, show, rename, forget and list collections of a kind."""
    router = APIRouter()
    place = f"/{kind.path}/{{{kind.id_name}}}"

    @router.put(place, name=f"create_{kind.kind}", response_class=Response)
    async def create(asked: Current, body: CreateCollection, given: str = own_id(kind)) -> Response:
        await collections.add(
            asked.client,
            kind.scope(given),
            recognition=asked.service.recognitions[body.recognition_model],
            name=body.name,
            user_data=body.user_data,
            request_id=asked.request_id,
        )
        return done()

    @router.patch(place, name=f"update_{kind.kind}", response_class=Response)
    async def update(asked: Current, body: Update, given: str = own_id(kind)) -> Response:
        await collections.update(
            asked.client, kind.scope(given), name=body.name, user_data=body.user_data, request_id=asked.request_id
        )
        return done()

    @router.delete(place, name=f"delete_{kind.kind}", response_class=Response)
    async def delete(asked: Current, given: str = own_id(kind)) -> Response:
        await collections.delete(asked.client, kind.scope(given), request_id=asked.request_id)
        return done()

    return router


def listing(kind: Kind) -> APIRouter:
    """Show and list collections that say nothing of their members."""
    router = APIRouter()

    @router.get(
        f"/{kind.path}/{{{kind.id_name}}}",
        response_model=kind.answer,
        response_model_exclude_unset=True,
        name=f"get_{kind.kind}",
    )
    async def get(asked: Current, given: str = own_id(kind), with_model: WithModel = False) -> answers.Collection:
        return head(kind, collections.shown(asked.client, kind.scope(given)), with_model=with_model)

    @router.get(f"/{kind.path}", response_model=list[kind.answer], **SPARE, name=f"list_{kind.kind}")  # type: ignore[name-defined]
    async def list_(
        asked: Current, start: Start = None, top: Top = 1_000, with_model: WithModel = False
    ) -> Sequence[answers.Collection]:
        page = collections.listed(asked.client, kind.kind, start=start or "", top=top)
        return [head(kind, each, with_model=with_model) for each in page]

    return router


def face_lists() -> APIRouter:
    """Face lists show their faces, and are few enough to be listed at once."""
    router, kind = APIRouter(), FACE_LIST

    @router.get(
        "/facelists/{faceListId}",
        response_model=answers.FaceList,
        response_model_exclude_unset=True,
        name="get_facelist",
    )
    async def get(asked: Current, given: str = own_id(kind), with_model: WithModel = False) -> answers.Collection:
        shown = collections.shown(asked.client, kind.scope(given))
        faces = enrolled.listed(asked.client, kind.scope(given), None)
        said = head(kind, shown, with_model=with_model).model_dump(exclude_unset=True)
        return answers.FaceList(**said, persisted_faces=[persisted(each) for each in faces])

    @router.get("/facelists", response_model=list[answers.FaceListHead], **SPARE, name="list_facelist")
    async def list_(asked: Current, with_model: WithModel = False) -> Sequence[answers.Collection]:
        return [head(kind, each, with_model=with_model) for each in collections.listed(asked.client, kind.kind)]

    return router


def persisted(shown: enrolled.Shown) -> answers.PersistedFace:
    """An enrolled face as its answer."""
    return answers.PersistedFace(persisted_face_id=shown.template.persisted_face_id, user_data=shown.user_data)


def training(kind: Kind) -> APIRouter:
    """Begin a training, and say how it stands."""
    router = APIRouter()
    place = f"{kind.path}/{{{kind.id_name}}}"

    @router.post(f"/{place}/train", status_code=202, name=f"train_{kind.kind}", response_class=Response)
    async def train(asked: Asking, given: str = own_id(kind)) -> Response:
        await asked.service.recogniser.trainer.begin(asked.client, kind.scope(given), request_id=asked.request_id)
        return asked.accepted(f"{kind.path}/{given}/training")

    @router.get(f"/{place}/training", response_model=answers.Training, name=f"training_{kind.kind}")
    async def status(asked: Asking, response: Response, given: str = own_id(kind)) -> answers.Training:
        return await _standing(asked, response, kind.scope(given))

    return router


async def _standing(asked: Asked, response: Response, scope: str) -> answers.Training:
    found = await asked.service.recogniser.trainer.status(asked.client, scope)
    if found.status == "running":
        response.headers.update(RETRY)
    return answers.Training(
        status=found.status,
        created_date_time=found.created,
        last_action_date_time=found.acted,
        last_successful_training_date_time=found.succeeded,
        message=None,
    )
