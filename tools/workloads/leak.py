#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Leaks like a Python program: a list that only grows, or memory of a C function that is never freed.

usage: leak.py list|malloc RATE_BYTES_PER_S SECONDS. The environment, signals and the last line are
the same as for the other leaking workloads; the line number is that of the Python code.
"""
import ctypes
import json
import os
import resource
import signal
import sys
import time

BLOCK = 2048
flags = {"go": False, "stop": False}
held = []
site = {"function": "", "file": os.path.basename(__file__), "line": 0}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def leak_bytes():
    frame = sys._getframe()
    site.update(function=frame.f_code.co_name, line=frame.f_lineno + 1)
    held.append(bytearray(b"x") * BLOCK)


def leak_malloc():
    frame = sys._getframe()
    site.update(function=frame.f_code.co_name, line=frame.f_lineno + 1)
    ctypes.memset(libc.malloc(BLOCK), 1, BLOCK)


def main():
    leak = {"list": leak_bytes, "malloc": leak_malloc}[sys.argv[1]]
    rate, seconds, count = int(sys.argv[2]), float(sys.argv[3]), 0
    signal.signal(signal.SIGTERM, lambda *_: flags.update(stop=True))
    signal.signal(signal.SIGUSR2, lambda *_: flags.update(go=True))
    if "WORKLOAD_WAIT" in os.environ:
        print("leak.py: ready", file=sys.stderr, flush=True)
        while not flags["go"] and not flags["stop"]:
            time.sleep(0.005)
    begin = time.monotonic()
    while not flags["stop"] and time.monotonic() - begin < seconds:
        due = rate * (time.monotonic() - begin)
        while not flags["stop"] and (count + 1) * BLOCK <= due:
            leak()
            count += 1
        time.sleep(0.01)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "workload": "leak.py", "mode": sys.argv[1], "pid": os.getpid(),
        "bytes": count * BLOCK, "count": count, **site,
        "minflt": usage.ru_minflt, "majflt": usage.ru_majflt, "maxrss_kb": usage.ru_maxrss}))


main()
