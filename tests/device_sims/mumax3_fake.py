"""A stand-in for mumax3 3.11.1 on machines without a GPU: its flags, files, exit codes and last words.

Run as the program `mumax3`, from anywhere: the machine that executes the script lies beside it. ``FAKE_MUMAX3`` names a
failure to show, or another version.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from mumax3_machine import SOURCE, STACK, Mumax, last_words

VERSION = "mumax 3.11.1 [linux_amd64 go1.22.3(gc) CUDA-12.6]"

UNDEFINED = {"old": {"ext_initgeomfromovf", "thermreseed"}, "3.12": {"thermseed"}}  # names that a version lacks


def main() -> None:
    show, options, files = os.environ.get("FAKE_MUMAX3", ""), {}, []
    for argument in sys.argv[1:]:
        flag = re.fullmatch(r"--?(\w+)(?:=(.*))?", argument)
        if flag and flag[1] not in ("test", "http", "gpu", "cache", "o", "f", "v", "vet", "i", "s"):
            last_words(f"flag provided but not defined: -{flag[1]}\nUsage of mumax3:", 2)
        options.update({flag[1]: flag[2]} if flag else {})
        files += [] if flag else [argument]
    if show == "no library":
        what = "libcuda.so.1: cannot open shared object file: No such file or directory"
        last_words(f"mumax3: error while loading shared libraries: {what}", 127)
    if show == "no device":
        last_words(f"{SOURCE}/cuda/init.go:61 CUDA_ERROR_NO_DEVICE", 1)
    if options.get("gpu", "0") != "0":
        last_words("panic: CUDA_ERROR_INVALID_DEVICE" + STACK + "/cuda/cu/context.go:23 +0x4d", 2)
    version = VERSION.replace("3.11.1", {"old": "3.10", "3.12": "3.12"}.get(show, "3.11.1"))
    device = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpu = f"GPU info: NVIDIA H100 80GB HBM3(81089MB), CUDA Driver 12.6, cc=9.0, using cc=90 PTX, {device}"
    history = [f"//{version}", "//commit hash: ", f"//{gpu}"]
    print("\n".join(history), flush=True)
    if "test" in options:
        sys.exit(0)
    (script,) = files
    folder = Path(options["o"])
    folder.mkdir(exist_ok=True)  # what was there stays
    (folder / "log.txt").write_text("\n".join([*history, f"//output directory: {folder}/"]) + "\n")
    if show != "old" and options.get("http") == "":  # a script that does not compile ends before that
        sys.stderr.write('//not starting GUI (-http="")\n')
    if show == "memory":
        last_words("CUDA_ERROR_OUT_OF_MEMORY", 1)
    if show == "curand":
        last_words("panic: CURAND_STATUS_LENGTH_NOT_MULTIPLE" + STACK + "/cuda/curand/generator.go:34 +0x9c", 2)
    if show == "panic":
        last_words("assertion failed\npanic: assertion failed" + STACK + "/util/log.go:58 +0x7b", 2)
    if show == "small step":
        last_words("Time step too small: 0\npanic: Time step too small: 0" + STACK + "/engine/run.go:150 +0x7b", 2)
    if show == "killed":
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if show == "hangs":
        other = subprocess.Popen(["sleep", "600"])  # a process of its own, to be ended with it
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (Path(os.environ["FAKE_MUMAX3_NOTE"])).write_text(f"{os.getpid()} {other.pid}")
        time.sleep(600)
    mumax = Mumax(Path("."), UNDEFINED.get(show, {"thermreseed"}))
    lines = mumax.compile(Path(script).read_text())
    if show == "lost file":
        (mumax.folder / "m0.ovf").unlink()
    if show == "no mesh":
        lines = [line for line in lines if not line.startswith("SetCellSize")]
    if show == "nan":
        mumax.parameters["alpha"].set = lambda *_: mumax.parameters["alpha"].values.fill(math.nan)
    mumax.execute(lines)


if __name__ == "__main__":
    main()
