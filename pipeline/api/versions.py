"""Which version of the Face API has which operations: one core, served under each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Version:
    """A version, as the address says it. `directory`: whether it has PersonDirectory and DynamicPersonGroup."""

    name: str
    directory: bool

    @property
    def prefix(self) -> str:
        """Where its operations are."""
        return f"/face/{self.name}"


# Routes are tried one after the other: the versions that the SDKs speak come first.
VERSIONS: Final[Mapping[str, Version]] = {
    name: Version(name, directory)
    for name, directory in (
        ("v1.2-preview.1", True),
        ("v1.0", False),
        ("v1.1-preview.1", True),
        ("v1.2", False),
    )
}
