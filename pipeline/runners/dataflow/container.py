"""What a worker does first: Beam imports this there, before anything of the job (`--beam_plugin`).

Nobody can set the environment of a container that Dataflow starts. glibc and Arrow have read theirs
by now, but not the tokenizer, which would start a thread for each core in each of the processes.
"""

import os

from pipeline.runners.environment import WORKER_ENVIRONMENT

for _name, _value in WORKER_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
