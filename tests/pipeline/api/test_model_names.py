"""What the Face API's model names stand for: the packs that the settings give them, each finding for the other."""

from pathlib import Path

import pytest

from connectors.broker import EmbeddedBroker
from tests.pipeline.api.house import house

pytestmark = [pytest.mark.broker, pytest.mark.milvus, pytest.mark.timeout(120)]


async def test_one_pack_finds_what_another_measures(
    broker: EmbeddedBroker, milvus: str, tmp_path: Path, shared: Path, pictures: dict[str, bytes]
) -> None:
    models = {"pack": "dlib", "source": str(shared / "models")}
    api = {"recognition_models": {"recognition_04": "retail"}, "detection_models": {"detection_03": "retail"}}
    async with house(broker.bootstrap, milvus, tmp_path, models=models, api=api) as door:
        await door.done("PUT", "/facelists/small", {"name": "n", "recognitionModel": "recognition_04"})
        added = await door.sent("/facelists/small/persistedfaces", pictures["grace"], detectionModel="detection_01")
        for finder in ("detection_01", "detection_03"):
            face = await door.detected(pictures["grace again"], detectionModel=finder)
            (found,) = await door.done("POST", "/findsimilars", {"faceId": face, "faceListId": "small"})
            assert found["persistedFaceId"] == added["persistedFaceId"]
        plain = await door.detected(pictures["grace"], recognitionModel="recognition_03")
        body = {"faceId1": face, "faceId2": plain}
        assert await door.refused("POST", "/verify", body) == (400, "BadArgument")
