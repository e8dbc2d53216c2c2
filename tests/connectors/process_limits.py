"""What the kernel says of a running process's core dumps."""

import sys
from pathlib import Path

import psutil


def never_dumped(pid: int) -> bool:
    """Whether the limit is 0 beyond recall, and on Linux no page is selected to be dumped."""
    if sys.platform != "linux":
        return bool(psutil.Process(pid).is_running())
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (core,) = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
    selected = int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16)
    return core == ["0", "0"] and selected == 0
