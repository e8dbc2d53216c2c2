"""No memory of ours in a core dump: what is sealed everywhere else lies there in the clear."""

from __future__ import annotations

import ctypes
import sys

from connectors.guardian import without_core

PR_SET_DUMPABLE = 4  # linux/prctl.h


def disable() -> None:
    """For this process, and as far as that is inherited, for what it starts: a limit of 0, and no page to be dumped.

    On Linux the process is made undumpable as well, which a handler that the kernel pipes dumps into cannot overrule.
    That also bars everybody but root from its /proc/self/mem, and debuggers from attaching. It ends with an exec: each
    process of ours asks for it itself.
    """
    without_core()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0)
