"""`pagecast-java`: Java for programs of which little is asked, that ends with whoever started it.

Beam's job server would outlive a launcher that is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# The work is done in Python, so Java is better off without its second compiler, which takes more
# processor time than it saves within a job, and without a garbage collector of many threads.
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def main() -> None:
    """Become `java`, with this process's arguments."""
    if sys.platform == "linux":  # it stays in force; elsewhere nothing does the same
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execvp("java", ["java", *QUICK_START, *sys.argv[1:]])


if __name__ == "__main__":
    main()
