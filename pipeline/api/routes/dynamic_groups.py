"""DynamicPersonGroups: who of the PersonDirectory belongs together; and the operations that change it."""

from collections.abc import Sequence

from fastapi import APIRouter, Path
from starlette.responses import Response

from pipeline.api import answers
from pipeline.api.bodies import CreateDynamicGroup, Start, Top, UpdateDynamicGroup, Uuid
from pipeline.api.routes.collections import id_of
from pipeline.api.service import Current, done
from pipeline.operations import collections, directory

router = APIRouter()

GROUP = "/dynamicpersongroups/{dynamicPersonGroupId}"
OPERATION = Path(alias="operationId")
OWN = id_of("dynamicPersonGroupId")


@router.put(GROUP, responses={202: {"description": "Persons join"}}, response_class=Response)
async def create_dynamic_group(asked: Current, body: CreateDynamicGroup, given: str = OWN) -> Response:
    await collections.add(
        asked.client,
        _scope(given),
        recognition=None,
        name=body.name,
        user_data=body.user_data,
        members=body.add_person_ids or (),
        request_id=asked.request_id,
    )
    return asked.accepted(asked.operation, f"dynamicpersongroups/{given}") if body.add_person_ids else done()


@router.patch(GROUP, responses={202: {"description": "Persons join or leave"}}, response_class=Response)
async def update_dynamic_group(asked: Current, body: UpdateDynamicGroup, given: str = OWN) -> Response:
    await directory.change(
        asked.client,
        _scope(given),
        add=body.add_person_ids or (),
        remove=body.remove_person_ids or (),
        name=body.name,
        user_data=body.user_data,
        request_id=asked.request_id,
    )
    return asked.accepted(asked.operation, f"dynamicpersongroups/{given}") if body.changes_members else done()


@router.delete(GROUP, status_code=202, response_class=Response)
async def delete_dynamic_group(asked: Current, given: str = OWN) -> Response:
    await collections.delete(asked.client, _scope(given), request_id=asked.request_id)
    return asked.accepted(asked.operation)


@router.get(GROUP, response_model=answers.DynamicPersonGroup)
async def get_dynamic_group(asked: Current, given: str = OWN) -> answers.DynamicPersonGroup:
    return _shown(collections.shown(asked.client, _scope(given)))


@router.get("/dynamicpersongroups", response_model=list[answers.DynamicPersonGroup])
async def list_dynamic_groups(
    asked: Current, start: Start = None, top: Top = 1_000
) -> Sequence[answers.DynamicPersonGroup]:
    page = collections.listed(asked.client, "dynamicpersongroup", start=start or "", top=top)
    return [_shown(each) for each in page]


@router.get(f"{GROUP}/persons", response_model=answers.PersonIds)
async def list_members(asked: Current, given: str = OWN, start: Start = None, top: Top = 1_000) -> answers.PersonIds:
    return answers.PersonIds(person_ids=directory.members(asked.client, _scope(given), start=start or "", top=top))


@router.get("/operations/{operationId}", response_model=answers.Operation)
async def get_operation(asked: Current, operation_id: Uuid = OPERATION) -> answers.Operation:
    found = directory.operation(asked.client, operation_id)
    return answers.Operation(
        operation_id=operation_id,
        status="running" if found.outcome == "erasing" else found.outcome,
        created_time=found.requested,
        last_action_time=found.finished,
        finished_time=found.finished,
        message=found.message or None,
    )


def _scope(given: str) -> str:
    return f"dynamicpersongroup/{given}"


def _shown(shown: collections.Shown) -> answers.DynamicPersonGroup:
    return answers.DynamicPersonGroup(
        dynamic_person_group_id=shown.collection.id, name=shown.name, user_data=shown.user_data
    )
