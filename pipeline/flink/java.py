"""`pagecast-java`: Java for programs of which little is asked, that ends with whoever started it.

Beam's job server would outlive a launcher that is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import FrameType

# The work is done in Python, so Java is better off without its second compiler, which takes more
# processor time than it saves within a job, and without a garbage collector of many threads.
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
LOOK = 0.5  # seconds


def main() -> None:
    """Run `java` with this process's arguments, and end with its exit code."""
    sys.exit(run(["java", *QUICK_START, *sys.argv[1:]]))


def run(command: list[str]) -> int:
    """Run a program until it ends or this process's parent does, and return its exit code."""
    parent = os.getppid()
    process = subprocess.Popen(command)

    def stop(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    while os.getppid() == parent:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(LOOK)
    process.kill()
    return process.wait()


if __name__ == "__main__":
    main()
