"""The decisions: options, the graph, its launch, and what a person sees.

`python -m pipeline` looks for modules in the working directory first, before all that is installed.
A `random.py` there, beside somebody's data, is not part of this program: so that place is left out,
unless it is where Pagecast itself is. This runs before anything else is imported. What PYTHONPATH
names stays: that is what the user says.
"""

import os
import sys


def _leave_out_working_directory() -> None:
    given = sys.orig_argv
    name = given[given.index("-m") + 1] if "-m" in given[:-1] else ""
    if sys.flags.safe_path or name.partition(".")[0] != __name__ or sys.argv[:1] != ["-m"]:
        return  # nothing to leave out, or another program that uses these modules
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.realpath(sys.path[0]) != os.path.realpath(home):
        del sys.path[0]


def be_safe() -> None:
    """Let no process that this one starts look there either."""
    os.environ["PYTHONSAFEPATH"] = "1"


_leave_out_working_directory()
