"""The process between a child and who started it (see `connectors.child`), run as a script.

Every start of a child waits until this file is loaded: of the standard library it takes the least that does.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import suppress

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def without_core() -> None:
    """Let no core dump be written of this process and of whatever it starts: both are inherited over an exec.

    A handler that the kernel pipes dumps into is not bound by the limit; on Linux it finds no page selected.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        selected = os.open("/proc/self/coredump_filter", os.O_WRONLY | os.O_CLOEXEC)
        os.write(selected, b"0")
        os.close(selected)


def guard(ending: signal.Signals, grace: float, command: list[str]) -> None:
    """Run the command until it ends or standard input does; leaves with the command's status."""
    # A shell's background job starts with SIGINT ignored, and the command would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: S603

    def leave() -> None:
        status = child.wait()
        os._exit(status if status >= 0 else 128 - status)

    waiter = threading.Thread(target=leave)
    waiter.start()
    signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    child.send_signal(ending)
    waiter.join(grace)
    child.kill()


if __name__ == "__main__":
    without_core()
    guard(signal.Signals(int(sys.argv[1])), float(sys.argv[2]), sys.argv[3:])
