"""Promises of root keys in files: theirs alone to read, refused with the cure where they are not."""

from pathlib import Path

import pytest

from connectors import ServiceRefused
from connectors.root_key import RootKeyFiles

KEY = bytes(range(32))


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o440])
def test_a_root_key_with_another_mode_is_refused_with_its_cure(tmp_path: Path, mode: int) -> None:
    files = RootKeyFiles(tmp_path)
    wrapped = files.wrap(files.prepare(), KEY)
    (tmp_path / "root-1.key").chmod(mode)
    with pytest.raises(ServiceRefused, match=rf"mode {mode:04o}.*chmod 400 {tmp_path}/root-1\.key$"):
        files.unwrap(1, wrapped)


def test_a_short_root_key_is_refused(tmp_path: Path) -> None:
    files = RootKeyFiles(tmp_path)
    wrapped = files.wrap(files.prepare(), KEY)
    path = tmp_path / "root-1.key"
    path.chmod(0o600)
    path.write_bytes(b"short")
    path.chmod(0o400)
    with pytest.raises(ServiceRefused, match=r"has 5 bytes, wanted 32: restore it"):
        files.unwrap(1, wrapped)


def test_only_the_files_of_versions_count(tmp_path: Path) -> None:
    for name in ("root-2.key.bak", "root-x.key", ".root-3.key.0123"):
        (tmp_path / name).write_bytes(b"")
    files = RootKeyFiles(tmp_path)
    assert files.versions() == []
    assert [files.prepare(), files.rotate()] == [1, 2]
    files.destroy()
    assert files.versions() == []
    assert len(list(tmp_path.iterdir())) == 3
