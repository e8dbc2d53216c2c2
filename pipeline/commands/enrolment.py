"""Enrolling from the operator's files: one person after the other, with a progress bar."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.commands import Invocation
from pipeline.commands.asking import asking
from pipeline.operations import Refused, collections, persons
from pipeline.operations.album import Wanted
from pipeline.operations.client import Client
from pipeline.operations.photos import Choice, Portrait, Portraitist, portrait
from pipeline.operations.waiting import enrolled
from pipeline.records import DIRECTORY
from pipeline.topology import ENROL


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a person to enrol: a personId, or the reason for refusing."""

    name: str
    person_id: str | None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One run of `person add`."""

    call: Invocation
    scope: str
    choice: Choice
    console: Console
    consent: str | None = None

    async def run(self, wanted: Sequence[Wanted], *, skip_known: bool) -> list[Outcome]:
        """Enrol everybody, and wait until the index has them; who is refused does not stop the others."""
        from pipeline import wiring  # it loads every engine, and --help needs none
        from pipeline.wiring.asking import ModelPortraitist

        settings = self.call.settings
        async with asking(self.call) as client:
            models = ModelPortraitist(
                await asyncio.to_thread(wiring.face_models, settings), settings.models.recognition_model
            )
            await self._collection(client, models)
            known = {each.name for each in persons.listed(client, self.scope)} if skip_known else set()
            with self._progress() as progress:
                shown = progress.track(wanted, description="enrolling")
                outcomes = [await self._enrol(client, models, each, known) for each in shown]
            if any(outcome.person_id for outcome in outcomes):
                deployment = settings.deployment()
                admin = wiring.admin(settings, self.call.home)
                await enrolled(client, admin, deployment.group(ENROL), self.scope, deployment)
        return outcomes

    async def _collection(self, client: Client, models: Portraitist) -> None:
        if self.scope == collections.DEFAULT:
            await collections.ensure(client, self.scope, recognition=models.recognition, request_id=client.new_id())
        elif self.scope != DIRECTORY:
            collections.for_recognition(collections.existing(client, self.scope), models.recognition)

    async def _enrol(self, client: Client, models: Portraitist, wanted: Wanted, known: set[str | None]) -> Outcome:
        if wanted.name in known:
            return Outcome(wanted.name, None, f"{wanted.name}: enrolled already; delete the person first to start anew")
        try:
            portraits = [await asyncio.to_thread(self._portrait, models, photo) for photo in wanted.photos]
            person_id = await persons.add(
                client,
                self.scope,
                wanted.name,
                portraits,
                recognition=models.recognition,
                consent=self.consent,
                request_id=client.new_id(),
            )
        except Refused as refusal:
            return Outcome(wanted.name, None, str(refusal))
        return Outcome(wanted.name, person_id)

    def _portrait(self, models: Portraitist, photo: Path) -> Portrait:
        try:
            content = photo.read_bytes()
        except OSError as error:
            raise Refused(f"{photo}: cannot be read: {error.strerror}") from None
        return portrait(str(photo), content, models, self.choice)

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console, transient=True)
