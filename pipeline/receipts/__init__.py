"""Receipts of erasures as proof: their canonical form, the chain they are links of, and the check of both. Pure."""

from pipeline.receipts.canonical import MOST_KEYS, canonical, destroyed_key, destroyed_keys, digest
from pipeline.receipts.chain import NOTHING, Head, appended, verify_chain, verify_held
from pipeline.receipts.document import proven, written
from pipeline.receipts.page import moment, page
from pipeline.receipts.signature import NoPublicKey, Signer, Unproven, fingerprint, public_key, verify_entry

__all__ = [
    "MOST_KEYS",
    "NOTHING",
    "Head",
    "NoPublicKey",
    "Signer",
    "Unproven",
    "appended",
    "canonical",
    "destroyed_key",
    "destroyed_keys",
    "digest",
    "fingerprint",
    "moment",
    "page",
    "proven",
    "public_key",
    "verify_chain",
    "verify_entry",
    "verify_held",
    "written",
]
