"""The table of the receipts: who signs them."""

from pydantic import Field

from pipeline.settings.tables import FilePath, Table


class Receipts(Table):
    """Who signs the receipts of erasures. Several machines sign with one key, or nobody could check their chain."""

    key_file: FilePath | None = Field(
        default=None,
        description="an Ed25519 private key in PEM, mode 0400, instead of keys/receipts.pem in the home",
        examples=["receipts.pem"],
    )
