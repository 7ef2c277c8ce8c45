# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What the figures of tools/bench share: tools that run while a workload does, rounds, and how numbers are printed."""

import contextlib
import functools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MEMBLAME = f"{ROOT}/build/memblame"
WORKLOADS = f"{ROOT}/build/workloads"
GET_MEMLEAK = ("the peer is memleak of bcc's libbpf-tools, which the libbpf-tools of Debian 12 lack: git clone --recurse-"
               "submodules https://github.com/iovisor/bcc, make -C bcc/libbpf-tools memleak, --memleak PATH")
# Peers: bpftrace counting one tracepoint by pid.
FAULTS = "exceptions:page_fault_user"
DIRTIED = "writeback:writeback_dirty_folio"
ALLOCATIONS = "kmem:mm_page_alloc"
STORMS_PER_SESSION, WRITES_PER_SESSION = 3, 15
READY_S, SETTLE_S, STOP_S = 20, 1, 60
LEAKING_S, MIB = 10, 1 << 20
SERVE_SETTLES_S, SERVE_S = 15, 20


class Failed(Exception):
    pass


def until_said(process, word):
    for line in process.stderr:
        if line.strip().endswith(f": {word}"):
            return
    raise Failed(f"a workload ended before it was {word}")


def done(process):
    """Has a held workload do its work."""
    process.send_signal(signal.SIGUSR2)
    until_said(process, "idle")


def result(process):
    process.terminate()
    return json.loads(process.communicate()[0].splitlines()[-1])


class Bench:
    """The options, and a folder for logs and streams that is gone at the end."""

    def __init__(self, options, folder):
        self.rounds, self.faults, self.calls = options.n, options.faults, options.calls
        self.mib, self.ops = options.mib, options.ops
        self.pairs, self.blocks, self.memleak = options.pairs, options.blocks, options.memleak
        self.folder = folder
        # The same CPU each time; the tool under test is left where the scheduler puts it.
        self.pin = ["taskset", "-c", str(min(1, os.cpu_count() - 1))]

    def log(self, name):
        return f"{self.folder}/{name}.log"

    def said(self, name):
        with open(self.log(name), errors="replace") as file:
            return file.read().strip()

    def workload(self, name, *args):
        done = subprocess.run([*self.pin, f"{WORKLOADS}/{name}", *args], stdout=subprocess.PIPE,
                              check=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    def storm(self, clock="ns_per_fault"):
        return self.workload("faulter", "storm", "1", f"count:{self.faults}")[clock]

    def storms(self, clock="ns_per_fault"):
        return statistics.median(self.storm(clock) for _ in range(STORMS_PER_SESSION))

    def nullcall(self):
        return self.workload("nullcall", str(self.calls))["ns_per_call"]

    def write(self, folder, block):
        """ns of CPU per 4 KiB written to a new file; after that, all of it goes to the device."""
        written = self.workload("writer", f"{folder}/written", str(self.mib), "plain", str(block))
        subprocess.run(["sync", "-f", folder], check=True)
        return written["cpu_ns"] / (written["written_bytes"] / 4096)

    def writes(self, folder, block):
        return statistics.median(self.write(folder, block) for _ in range(WRITES_PER_SESSION))

    def stress(self):
        """Seconds that stress-ng takes for a number of mallocs, reallocs and frees."""
        began = time.monotonic()
        subprocess.run([*self.pin, "stress-ng", "--quiet", "--no-rand-seed", "--malloc", "1",
                        "--malloc-ops", str(self.ops)], check=True)
        return time.monotonic() - began

    def build(self):
        """Seconds of building memblame from nothing but what was configured by the first call."""
        folder = f"{self.folder}/build"
        build = [f"{ROOT}/tools/build", folder, "--", "memblame"]
        if not os.path.exists(folder):
            subprocess.run(build, check=True)
        subprocess.run(["cmake", "--build", folder, "--target", "clean"], check=True)
        began = time.monotonic()
        subprocess.run(build, check=True)
        return time.monotonic() - began

    @contextlib.contextmanager
    def held(self, name, *args):
        """A workload that waits to begin and, at its end, to be asked what it has to tell."""
        process = subprocess.Popen([*self.pin, f"{WORKLOADS}/{name}", *args], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "WORKLOAD_WAIT": "", "WORKLOAD_STAY": ""},
                                   start_new_session=True)
        with process:
            try:
                until_said(process, "ready")
                yield process
            finally:
                process.kill()

    @contextlib.contextmanager
    def mounted(self, name, *args):
        """A file system of the bench's own, from `mount ARGS`."""
        point = f"{self.folder}/{name}"
        os.mkdir(point)
        try:
            subprocess.run(["mount", *args, point], check=True)
            yield point
        finally:
            if os.path.ismount(point):
                # When the bench is interrupted, a writer may take a moment to end.
                subprocess.run(["umount", "--lazy", point], check=True)

    def tmpfs(self):
        return self.mounted("tmpfs", "-t", "tmpfs", "-o", f"size={2 * self.mib}m", "memblame-bench")

    @contextlib.contextmanager
    def ext4(self):
        """On a free loop device, which mount takes and umount gives back."""
        image = f"{self.folder}/ext4.image"
        with open(image, "w") as file:
            file.truncate(max(256, 4 * self.mib) << 20)
        # Nothing is left to be initialised in the background.
        subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-E",
                        "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
        with self.mounted("ext4", "-t", "ext4", "-o", "loop", image) as point:
            yield point

    @contextlib.contextmanager
    def tool(self, name, command, is_ready, keep_stdout=True):
        """Runs a tool from when it is ready until the end of the block; its words go to its log."""
        with open(self.log(name), "w") as log:
            # A session of its own: Ctrl-C reaches only the bench, which then stops the tool below.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log,
                                       stdout=log if keep_stdout else subprocess.DEVNULL,
                                       start_new_session=True)
        try:
            give_up = time.monotonic() + READY_S
            while not is_ready() and process.poll() is None and time.monotonic() < give_up:
                time.sleep(0.02)
            time.sleep(SETTLE_S)
            if not is_ready() or process.poll() is not None:
                raise Failed(f"{name} is not running: {self.said(name)}")
            yield process
            if process.poll() is not None:
                raise Failed(f"{name} ended too early: {self.said(name)}")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                print(f"  {name} did not end on SIGINT, killed", file=sys.stderr)

    def memblame(self, name, *args):
        return self.tool(name, [MEMBLAME, "--verbose", *args],
                         lambda: "attached in" in self.said(name), keep_stdout=False)

    def memblame_top(self):
        return self.memblame("memblame", "top", "-i", "60")

    def memblame_blame(self):
        return self.memblame("memblame", "blame", "-i", "60")

    def bpftrace(self, tracepoint):
        script = f"tracepoint:{tracepoint} {{ @[pid] = count(); }}"
        return self.tool("bpftrace", ["bpftrace", "-e", script],
                         lambda: "Attaching" in self.said("bpftrace"))

    def memblame_trace(self, path):
        return self.memblame("memblame", "trace", "-f", "fault", "--json", "-o", path)

    def memblame_leaks(self, *args):
        return self.memblame("memblame", "leaks", "-i", "60", *args)

    def memblame_heap(self, path, *args):
        """All that it tells goes to a file when it ends."""
        return functools.partial(self.memblame_leaks, "--heap", "--json", "-o", path, *args, "-p")

    def memleak_heap(self, pid):
        # Its words would stay in a buffer; so long an interval does not end before the block.
        command = ["stdbuf", "-oL", self.memleak, "-a", "-p", pid, "3600", "1"]
        return self.tool("memleak", command, lambda: "Attaching to" in self.said("memleak"))

    def memblame_record(self, path):
        return self.memblame("memblame", "record", "--raw", "-f", "fault", "-o", path)

    def perf_record(self, path):
        # perf says nothing when it starts; it has opened its events once its file has a body.
        command = ["perf", "record", "-e", "page-faults", "-c", "1", "-a", "-o", path]
        return self.tool("perf", command,
                         lambda: os.path.exists(path) and os.path.getsize(path) > 4096)


def spread(values, form):
    low, middle, high = (form % f(values) for f in (min, statistics.median, max))
    return f"{middle:>8}  ({low} .. {high})"


def verdict(met, missed, target):
    return f"target {target}: {'met' if met else 'missed' if missed else 'too close to call'}"


def compare(rounds, ours, theirs, target, unit="fault"):
    """rounds: (base, ours, theirs) in ns per unit."""
    bases = [base for base, _, _ in rounds]
    a = [mine - base for base, mine, _ in rounds]
    b = [peer - base for base, _, peer in rounds]
    ratios = [mine / peer if peer > 0 else float("inf") for mine, peer in zip(a, b)]
    of_medians = (statistics.median(a) / statistics.median(b) if statistics.median(b) > 0
                  else float("inf"))
    of_rounds = statistics.median(ratios)
    print(f"  {'untraced':<28}{spread(bases, '%.1f')} ns per {unit}")
    print(f"  {ours:<28}{spread(a, '%+.1f')} ns added")
    print(f"  {theirs:<28}{spread(b, '%+.1f')} ns added")
    print(f"  {'ratio of the medians':<28}{of_medians:8.2f}")
    print(f"  {'median of the rounds':<28}{spread(ratios, '%.2f')}")
    print("  " + verdict(max(of_medians, of_rounds) <= target, min(of_medians, of_rounds) > target,
                         f"{target:.2f}"))


def alternate(bench, untraced, *traced):
    """Rounds of (base, traced...); base is the mean of the runs before and after, as it drifts."""
    bases, rounds = [untraced()], []
    for _ in range(bench.rounds):
        rounds.append([measure() for measure in traced])
        bases.append(untraced())
    return [((before + after) / 2, *row) for before, after, row in zip(bases, bases[1:], rounds)]


def lost(summary):
    return int(re.findall(r'"lost":\{"total":(\d+)', summary)[-1])


def count_lines(path):
    with open(path, "rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))


def from_status(key, pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(rf"{key}:\s*(\d+)", file.read())[1]) << 10


def in_maps(pid):
    """Bytes of the BPF maps that a process has open, as the kernel counts them."""
    maps = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/fdinfo/{fd}") as file:
            said = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
            if "map_id" in said:
                maps[int(said["map_id"])] = int(said["memlock"])
    return sum(maps.values())
