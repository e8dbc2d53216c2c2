"""Who is enrolled in the demo: asked for as the command line asks, of one gallery."""

import asyncio
from dataclasses import dataclass

from pipeline.operations import Refused, collections, persons
from pipeline.operations.album import Wanted
from pipeline.operations.client import Client
from pipeline.operations.photos import Choice, Portraitist, portrait
from pipeline.operations.waiting import Groups, enrolled
from pipeline.topology import ENROL, Deployment

SCOPE = collections.DEFAULT


@dataclass(frozen=True, slots=True)
class Register:
    """Enrols and forgets persons of the default collection."""

    client: Client
    models: Portraitist
    groups: Groups
    deployment: Deployment

    async def open(self) -> None:
        """Make the collection."""
        await collections.ensure(
            self.client, SCOPE, recognition=self.models.recognition, request_id=self.client.new_id()
        )

    async def enrol(self, wanted: Wanted) -> str:
        """Enrol a person; the personId. Of several faces in a photo, the largest. Refused with the reason."""
        portraits = []
        for photo in wanted.photos:
            try:
                content = await asyncio.to_thread(photo.read_bytes)
            except OSError as error:
                raise Refused(f"{photo}: cannot be read: {error.strerror}") from None
            found = await asyncio.to_thread(portrait, str(photo), content, self.models, Choice(largest=True))
            portraits.append(found)
        return await persons.add(
            self.client,
            SCOPE,
            wanted.name,
            portraits,
            recognition=self.models.recognition,
            request_id=self.client.new_id(),
        )

    async def indexed(self) -> None:
        """Wait until everybody who is enrolled can be recognised."""
        await enrolled(self.client, self.groups, self.deployment.group(ENROL), SCOPE, self.deployment)

    async def forget(self, person: str) -> int:
        """Delete a person; how many records were forgotten."""
        return (await persons.delete(self.client, SCOPE, person, request_id=self.client.new_id())).forgotten
