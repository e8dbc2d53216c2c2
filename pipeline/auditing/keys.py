"""The keys: none that was destroyed unwraps, or lives again, and what a destruction is worth with this provider."""

from collections.abc import Iterator

from connectors import ServiceRefused, root_keys
from connectors.key_provider import Erasure, KeyProvider
from connectors.key_rows import NOTHING, KeyRow, KeyRows
from connectors.root_keys import RootKey
from pipeline.auditing.receipted import Receipted
from pipeline.auditing.report import Line, Verdict
from pipeline.receipts import MOST_KEYS

CHECK = "keys"
RECEIPTS = "receipts"
WORTH = {
    Erasure.BEST_EFFORT: "an overwritten file may survive on flash, in snapshots and backups; vault and aws do better",
    Erasure.BOUNDED: "destroyed when the call returns; snapshots of its own storage keep it while you keep them",
    Erasure.DELAYED: "an administrator of the provider can take it back for 7 days",
}


def lines(rows: KeyRows, provider: KeyProvider, told: Receipted) -> Iterator[Line]:
    """What the rows and the provider show now, and whether receipts speak against it. May raise what they raise."""
    yield _data_keys(rows, provider)
    yield _receipts(told)
    yield _root_keys(rows, provider)
    worth = provider.erasure
    verdict = Verdict.PASS if worth is Erasure.BOUNDED else Verdict.CANNOT_TELL
    yield Line(check=CHECK, subject=f"erasure by {provider.name}", verdict=verdict, text=f"{worth}: {WORTH[worth]}")


def _data_keys(rows: KeyRows, provider: KeyProvider) -> Line:
    living = {row.version: root_keys.opened(provider, row) for row in rows.roots() if row.destroyed is None}
    destroyed = rows.destroyed()
    kept = [row for row in destroyed if row.wrapped != NOTHING or _unwraps(row, living.get(row.root))]
    if kept:
        text = (
            f"{len(kept)} of {len(destroyed)} destroyed keys are still held, such as {kept[0].kid}: the store was "
            "restored from a copy, or changed by hand; rotate the root key and restore the store"
        )
        return Line(check=CHECK, subject=rows.name, verdict=Verdict.FAIL, text=text)
    text = f"{len(destroyed)} destroyed keys are overwritten, and none unwraps; {rows.count().alive} live"
    return Line(check=CHECK, subject=rows.name, verdict=Verdict.PASS, text=text)


def _receipts(told: Receipted) -> Line:
    """A store that was restored as a whole knows nothing of what was destroyed since; the receipts do."""
    if told.revived:
        kid, erasure = next(iter(told.revived.items()))
        text = (
            f"{len(told.revived)} keys live that an erasure destroyed, such as {kid} of {erasure.id}: the store was "
            "restored from a copy; restore the newest, and rotate the root key"
        )
        return Line(check=CHECK, subject=RECEIPTS, verdict=Verdict.FAIL, text=text)
    if told.unknown:
        text = (
            f"the keys of {len(told.unknown)} erasures, such as {told.unknown[0].id}, are none that this store "
            f"remembers, one by one or, where there are more than {MOST_KEYS}, by the time of their destruction"
        )
        return Line(check=CHECK, subject=RECEIPTS, verdict=Verdict.CANNOT_TELL, text=text)
    text = f"no key lives that one of {len(told.erased)} erasures destroyed"
    return Line(check=CHECK, subject=RECEIPTS, verdict=Verdict.PASS, text=text)


def _unwraps(row: KeyRow, root: RootKey | None) -> bool:
    if root is None:
        return False
    try:
        root.unwrap(row.kid, row.wrapped)
    except ServiceRefused:
        return False
    return True


def _root_keys(rows: KeyRows, provider: KeyProvider) -> Line:
    gone = {row.version for row in rows.roots() if row.destroyed is not None}
    left = sorted(gone & set(provider.versions()))
    if left:
        text = f"destroyed versions {left} can still be used at the provider: run faceline keys rotate again"
        return Line(check=CHECK, subject=f"root key by {provider.name}", verdict=Verdict.FAIL, text=text)
    text = f"{len(gone)} destroyed versions, none of which the provider can use"
    return Line(check=CHECK, subject=f"root key by {provider.name}", verdict=Verdict.PASS, text=text)
