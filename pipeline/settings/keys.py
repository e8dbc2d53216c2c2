"""The table of the key store: where the keys are kept, and what wraps them."""

from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator

from pipeline.settings.tables import FilePath, Table, secret

PASSWORD = "FACELINE_KEYS_PASSWORD"  # noqa: S105 - the name of a variable
VAULT_TOKEN = "FACELINE_VAULT_TOKEN"  # noqa: S105 - the name of a variable
FILE = "file"


class Keys(Table):
    """Where the keys of everything sealed are kept, and what wraps them. All but "file" needs the extra fleet."""

    store: str = Field(
        default=FILE, repr=False, description="file, in the home; or a postgresql:// address, for several machines"
    )
    password_file: FilePath | None = Field(
        default=None, description=f"file with its password (or set {PASSWORD})", examples=["keys-password"]
    )
    provider: Literal["file", "vault", "aws"] = Field(
        default="file", description="whose root key: files in the home, Vault's transit engine, or AWS KMS"
    )
    vault_address: str | None = Field(
        default=None, pattern=r"^https?://[^@]+$", description="Vault's URL", examples=["https://vault:8200"]
    )
    vault_token_file: FilePath | None = Field(
        default=None, description=f"file with a token for it (or set {VAULT_TOKEN})", examples=["vault-token"]
    )
    vault_ca_file: FilePath | None = Field(
        default=None, description="PEM of the authorities to trust for it", examples=["vault-ca.pem"]
    )
    vault_mount: str = Field(default="transit", min_length=1, description="where its transit engine is mounted")
    # Counted in the pattern itself, the letters of Unicode would take every process a tenth of a second to start.
    vault_key: str = Field(default="faceline", pattern=r"^[\w.-]+$", max_length=100, description="the key's name there")
    aws_region: str | None = Field(
        default=None, pattern=r"^[a-z0-9-]+$", description="region of the KMS", examples=["eu-central-1"]
    )
    aws_alias: str = Field(
        default="faceline",
        pattern=r"^[\w/-]+$",
        max_length=200,
        description="before the version in the aliases of its keys",
    )
    aws_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^@]+$",
        description="URL of a private endpoint of KMS",
        examples=["https://vpce-1.kms.eu-central-1.vpce.amazonaws.com"],
    )

    @field_validator("store", mode="after")
    @classmethod
    def _without_secrets(cls, given: str) -> str:
        if given == FILE:
            return given
        address = urlsplit(given)
        if address.scheme not in ("postgresql", "postgres"):
            raise ValueError('write "file", or postgresql://user@host:port/database')
        if address.password is not None or "password" in parse_qs(address.query):
            raise ValueError(f"carries a password; put it into password_file, or set {PASSWORD}")
        return given

    @model_validator(mode="after")
    def _complete(self) -> "Keys":
        if self.provider == "vault" and self.vault_address is None:
            raise ValueError("provider vault needs vault_address")
        if self.provider == "aws" and self.aws_region is None:
            raise ValueError("provider aws needs aws_region")
        return self

    @property
    def in_files(self) -> bool:
        """Whether all of it is in the home, and goes with it."""
        return self.store == FILE and self.provider == "file"

    def password(self) -> str | None:
        """The database's password from the environment or its file; SettingsError when the file cannot be read."""
        return secret(PASSWORD, "[keys] password_file", self.password_file)

    def vault_token(self) -> str | None:
        """Vault's token from the environment or its file; SettingsError when the file cannot be read."""
        return secret(VAULT_TOKEN, "[keys] vault_token_file", self.vault_token_file)
