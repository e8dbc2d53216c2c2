"""From a measured portrait to a template that may travel: sealed, under an id of its own."""

from pipeline import codec
from pipeline.identifiers import template_key
from pipeline.operations import words
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import GalleryKind, Recognition, Template
from pipeline.topology import TEMPLATES


def sealed_template(
    client: Client,
    uid: str,
    kind: GalleryKind,
    portrait: Portrait,
    *,
    recognition: Recognition,
    kid: str,
    person_id: str | None,
    user_data: str | None = None,
) -> Template:
    """A portrait as a template under a fresh persistedFaceId, sealed with the key `kid`."""
    face = client.new_id()
    key = template_key(person_id or uid, face)
    vector = portrait.template.astype("<f4").tobytes()
    return Template(
        persisted_face_id=face,
        person_id=person_id,
        collection=uid,
        kind=kind,
        recognition=recognition,
        vector=codec.seal(client.keys, kid, vector, topic=TEMPLATES, key=key, field="vector"),
        user_data=words.seal(client, kid, user_data, topic=TEMPLATES, key=key, field="userData"),
        quality=portrait.quality,
        created=client.clock(),
    )
