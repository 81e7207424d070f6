"""A Flink cluster on this machine: a JobManager and TaskManagers, for as long as a job runs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.commands.failure import JobError
from pipeline.progress.terminal import say
from pipeline.runners.flink import rest
from pipeline.runners.flink.java import QUICK_START

WEB_PORT = 8081  # Flink's own; another one where it is taken
PATIENCE = 120.0  # seconds for all to be there
# Workers stay for the next stage. Beam keeps one that has died as well, so a job that is started
# again must not find it.
WORKER_SECONDS = 6
RESTART_SECONDS = WORKER_SECONDS + 4
# Runs a program with an eye on its own standard input, and ends it when that does: so nothing is
# left over, however the launcher comes to its end.
GUARD = """
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill $child; sleep 3; kill -9 $child; } >/dev/null 2>&1 & reader=$!
wait $child; code=$?
kill $reader
exit $code
"""
JVM_OPTIONS = re.compile(r"^ +all: (.+)$", re.MULTILINE)


class ClusterSettings(NamedTuple):
    """A cluster: where its Flink is, jars for all its JVMs, and its size.

    `cpus` are the processors of each TaskManager, where they are not to use all.
    """

    home: Path
    jars: tuple[Path, ...]
    taskmanagers: int
    slots: int
    cpus: Sequence[Collection[int]] = ()


class LocalCluster:
    """A cluster that lives inside a `with`; `master` is its HOST:PORT.

    A TaskManager that ends is started again, so that Flink can go on with the job.

    Raises:
      JobError: it does not come up.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._directory = Path(tempfile.mkdtemp(prefix="pagecast-flink-"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self.master = f"localhost:{free_port(WEB_PORT)}"

    def __enter__(self) -> LocalCluster:
        try:
            self._install()
            self._start("jobmanager")
            for name in self._names():
                self._start(name)
            self._wait()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        threading.Thread(target=self._look_after, name="taskmanagers", daemon=True).start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._over.set()
        for process in self._processes.values():
            assert process.stdin
            process.stdin.close()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
        if kind is None:
            shutil.rmtree(self._directory, ignore_errors=True)
        else:
            say(f"Flink's logs are in {self._directory / 'log'}")

    def pid(self, name: str) -> int:
        """Return the process that guards "jobmanager" or "taskmanager-1"; its child is the JVM."""
        return self._processes[name].pid

    def _names(self) -> list[str]:
        return [f"taskmanager-{n + 1}" for n in range(self._settings.taskmanagers)]

    def _install(self) -> None:
        """Give the cluster a directory of its own: configuration, logs, and links to its jars."""
        home = self._settings.home
        for name in ("lib", "conf", "log"):
            (self._directory / name).mkdir()
        for jar in (*(home / "lib").iterdir(), *self._settings.jars):
            (self._directory / "lib" / jar.name).symlink_to(jar)
        for file in (home / "conf").iterdir():
            shutil.copy(file, self._directory / "conf")
        path = self._directory / "conf" / "config.yaml"
        shipped = JVM_OPTIONS.search(path.read_text("utf-8"))
        values = {
            **self._configuration(),
            # What is shipped is what Flink needs to be let do by newer JVMs.
            "env.java.opts.all": " ".join([*(shipped.groups() if shipped else ()), *QUICK_START]),
        }
        path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()), "utf-8")

    def _configuration(self) -> dict[str, object]:
        settings = self._settings
        return {
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": free_port(),
            "jobmanager.bind-host": "localhost",
            "jobmanager.memory.process.size": "1600m",
            "taskmanager.host": "localhost",
            "taskmanager.bind-host": "localhost",
            "taskmanager.memory.process.size": "1728m",
            "taskmanager.numberOfTaskSlots": settings.slots,
            "parallelism.default": settings.slots * settings.taskmanagers,
            "rest.address": "localhost",
            "rest.bind-address": "localhost",  # whoever reaches it may run code
            "rest.port": self.master.rpartition(":")[2],
            "io.tmp.dirs": self._directory,
            # Beam's classes from `lib`: see `jar.without_flink`. A cluster without them there needs
            # Flink's default, by which a job's jar comes first.
            **({"classloader.resolve-order": "parent-first"} if settings.jars else {}),
            # A job whose worker or TaskManager dies goes on from the finished shards.
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 3,
            "restart-strategy.fixed-delay.delay": f"{RESTART_SECONDS} s",
            "heartbeat.interval": "3 s",
            "heartbeat.timeout": "20 s",
        }

    def _start(self, name: str) -> None:
        script = self._settings.home / "bin" / f"{name.partition('-')[0]}.sh"
        command = [str(script), "start-foreground"]
        number = name.partition("-")[2]
        if number and self._settings.cpus:
            cpus = self._settings.cpus[int(number) - 1]
            command = ["taskset", "--cpu-list", ",".join(map(str, sorted(cpus))), *command]
        environment = {
            **os.environ,
            # Flink's scripts look for all else, and for these too, where they themselves are.
            **{
                f"FLINK_{name.upper()}_DIR": str(self._directory / name)
                for name in ("conf", "lib", "log")
            },
        }
        with open(self._directory / "log" / f"{name}.out", "ab") as log:
            self._processes[name] = subprocess.Popen(
                ["bash", "-c", GUARD, "flink", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the launcher, which ends the others
            )

    def _wait(self) -> None:
        """Wait for all TaskManagers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise JobError(f"Flink's {name} did not start: {self._last_words(name)}")
            with contextlib.suppress(ConnectionError):
                if rest.overview(self.master).taskmanagers == self._settings.taskmanagers:
                    return
            time.sleep(0.2)
        raise JobError(f"Flink did not start within {PATIENCE:.0f} s")

    def _last_words(self, name: str) -> str:
        text = (self._directory / "log" / f"{name}.out").read_text("utf-8", "replace")
        return (text.strip() or "no message").splitlines()[-1]

    def _look_after(self) -> None:
        """Restart TaskManagers that have ended."""
        while not self._over.wait(0.5):
            for name in self._names():
                code = self._processes[name].poll()
                if code is not None and not self._over.is_set():
                    say(f"Flink's {name} ended with code {code}; starting another")
                    self._start(name)


def free_port(wanted: int = 0) -> int:
    """Return a free port of this machine: the one wanted if it is one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", wanted))
        except OSError:
            return free_port()
        port: int = probe.getsockname()[1]
        return port
