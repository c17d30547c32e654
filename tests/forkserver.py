"""``python -m ...`` from a process that has imported everything already: a tenth of a second instead of several.

The tests of the workflow need hundreds of command lines, each of which would spend its time on imports. ``Server``
starts one process that imports the packages once and then forks a child per request; ``bin/python`` and
``bin/snakemake`` are small clients of it, to be put first on the PATH. A command gets its own arguments, folder,
environment and file descriptors, and its exit status is the client's.
"""

from __future__ import annotations

import array
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

PRELOADED = (
    "snakemake.cli",
    "snakemake.report.html_reporter",
    "snakemake.executors.dryrun",
    "snakemake.executors.local",
    "workflow.study.jobs",
    "workflow.study.forecast",
    "workflow.study.package",
    "calibration.sources.build",
    "calibration.tools.show",
    "calibration.tools.planner",
    "calibration.tools.compare_cards",
    "calibration.tools.figures",
    "device_sims.sweep.sweep",
    "device_sims.engines.macrospin.solver",
    "network.training.trainer",
    "network.results.summary",
    "network.results.figures",
    "network.results.systems",
    "sklearn.datasets",
    "scipy.stats",
    "matplotlib.backends.backend_agg",
)
CLIENT = """#!{python} -ISE
import array, json, os, socket, sys
if sys.argv[1:2] == ["-c"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
own = ["-m", "snakemake"] if os.path.basename(sys.argv[0]) == "snakemake" else []
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    here = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "python")
    text = json.dumps([own + sys.argv[1:], os.getcwd(), dict(os.environ), here]).encode()
    fds = array.array("i", [0, 1, 2])
    link.sendmsg([len(text).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    link.sendall(text)
    status = link.recv(1)
os._exit(status[0] if status else 137)
"""


class Server:
    """A process that forks command lines; ``folder`` gets its socket and the clients ``bin/python``, ``snakemake``."""

    def __init__(self, folder: Path):
        self.bin, address = folder / "bin", str(folder / "s")
        self.bin.mkdir()
        for name in ("python", "snakemake"):
            (self.bin / name).write_text(CLIENT.format(python=sys.executable, address=address))
            (self.bin / name).chmod(0o755)
        root = Path(__file__).parent.parent
        command = [sys.executable, "-m", "tests.forkserver", address]
        self.process = subprocess.Popen(command, cwd=root)
        while not os.path.exists(address):
            if self.process.poll() is not None:
                raise RuntimeError("the server of forks did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def _serve(address: str) -> None:
    for name in PRELOADED:
        __import__(name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + "~")
    listener.listen(64)
    os.rename(address + "~", address)
    while True:
        link, _ = listener.accept()
        head, rights, *_ = link.recvmsg(4, socket.CMSG_SPACE(12))
        fds = array.array("i", rights[0][2])
        size, text = int.from_bytes(head, "big"), b""
        while len(text) < size:
            text += link.recv(size - len(text))
        child = os.fork()
        if child == 0:
            listener.close()
            link.close()
            _become(fds, *json.loads(text))
        for fd in fds:
            os.close(fd)
        threading.Thread(target=_await, args=(child, link), daemon=True).start()


def _await(child: int, link: socket.socket) -> None:
    _, status = os.waitpid(child, 0)
    with link:
        try:
            link.send(bytes([os.waitstatus_to_exitcode(status) & 255]))
        except OSError:
            pass  # the client was killed


def _become(fds, arguments: list[str], folder: str, environment: dict[str, str], python: str) -> None:
    """Run ``python ARGUMENTS``, a module or a script, in this process and end it.

    ``python`` is the client, which is the interpreter of what this process starts.
    """
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = python
    status = 1
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
            runpy.run_path(arguments[0], run_name="__main__")
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                pass
        os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _serve(sys.argv[1])
