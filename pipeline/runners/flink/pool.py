"""`python -m pipeline.runners.flink.pool`: the Python workers beside a TaskManager.

Beam's own pool listens on all network interfaces, and whoever reaches a pool can run code as its
user. This one is the same service, but listens where it is told, and only to this machine if it is
told nothing.
"""

from __future__ import annotations

import ipaddress
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pipeline import __main__ as program
from pipeline.cli.commandline import new_app
from pipeline.cli.kinds import text, within
from pipeline.options import WHERE
from pipeline.runners import signals

PORT = 50000
SERVER_OPTIONS = [
    ("grpc.http2.max_pings_without_data", 0),  # as Beam's own pool
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),  # else a second pool would share the port with the first
]
RUNS_CODE = "whoever reaches it there can run code as this user"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("taskmanager-1")
    (True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, whatever it stands for


def address(host: str, port: int) -> str:
    """Return HOST:PORT, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def serve(host: str, port: int) -> Any:
    """Return a pool that listens for as long as somebody holds it.

    Raises:
      RuntimeError: it cannot listen there.
    """
    import grpc
    from apache_beam.portability.api import beam_fn_api_pb2_grpc
    from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
    from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

    server = grpc.server(shared_unbounded_instance(), options=SERVER_OPTIONS)
    boot = Path(sys.executable).with_name("pagecast-boot")
    pool = BeamFnExternalWorkerPoolServicer(use_process=True, container_executable=str(boot))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(address(host, port))
    server.start()
    return server


APP = new_app(
    "python -m pipeline.runners.flink.pool",
    "Start Python workers for the TaskManager on the same machine or in the same pod.",
    "python -P -m pipeline.runners.flink.pool --bind localhost --port 50000",
)


@APP.default
def pool(
    *,
    bind: Annotated[str, text(WHERE, "address to listen on", "HOST")] = "localhost",
    port: Annotated[int, within(1, 65535), text(WHERE, "port to listen on")] = PORT,
) -> int:
    """Be a pool until this process is stopped, and return its exit code."""
    from pipeline.progress.terminal import say

    where_it_is = address(bind, port)
    try:
        with signals.interruptible():
            pool = serve(bind, port)
            say(f"a pool of workers listens on {where_it_is}")
            if not is_loopback(bind):
                say(
                    f"warning: --bind {bind} is not this machine alone, and {RUNS_CODE}: "
                    "let no other machine than Flink's through to it"
                )
            pool.wait_for_termination()
    except RuntimeError:
        say(
            f"error: cannot listen on {where_it_is}: it is taken, or no address of this machine; "
            "name another --bind or --port"
        )
        return program.FAILED
    except KeyboardInterrupt:
        signals.kill_children()
    return program.INTERRUPTED


main = partial(program.main, app=APP)

if __name__ == "__main__":
    program.start(APP)
