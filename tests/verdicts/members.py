# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The corpus: healthy programs and leaking ones. (name, old, command, environment)

old: the program runs for more than three minutes before memblame watches it. "@NAME": a program of build/workloads.
"""

JEMALLOC = {"LD_PRELOAD": "libjemalloc.so.2"}
TCMALLOC = {"LD_PRELOAD": "libtcmalloc_minimal.so.4"}
MIMALLOC = {"LD_PRELOAD": "libmimalloc.so.2"}


def habit(text):
    return ["@habits"] + text.split()


def python(text):
    return ["/usr/bin/python3", "-c", text]


CHURN = """
import time
while True:
    x = [bytearray(500) for i in range(300)]
    d = {i: str(i) for i in range(500)}
    time.sleep(.02)
"""
CYCLES = """
import time
class A: pass
while True:
    for i in range(50):
        a, b = A(), A()
        a.o, b.o, a.d = b, a, bytearray(2000)
    time.sleep(.02)
"""
LRU = """
import time, random, functools
@functools.lru_cache(maxsize=3000)
def f(k): return bytearray(3000)
while True:
    for i in range(30): f(random.randrange(20000))
    time.sleep(.02)
"""
NODE_CHURN = """setInterval(() => { let x = []; for (let i = 0; i < 2000; i++) x.push({ i, s: 'x' + i }); }, 20)"""
NODE_LRU = """const m = new Map(); let n = 0;
setInterval(() => { for (let i = 0; i < 20; i++) { m.set(n++, Buffer.alloc(2000)); if (m.size > 5000) m.delete(n - 5001); } }, 20)"""
# fewer bytes in a minute than V8 lets gather before it collects
NODE_BUFFERS = """const m = new Map(); let n = 0;
setInterval(() => { for (let i = 0; i < 3; i++) { m.set(n++, Buffer.alloc(4096)); if (m.size > 2000) m.delete(n - 2001); } }, 20)"""

HEALTHY = [
    ("store, 700 B", False, habit("store 700 300 0"), {}),
    ("store, 700 B, jemalloc", False, habit("store 700 700 0"), JEMALLOC),
    ("store, 100 to 2000 B", False, habit("store 100 500 1900"), {}),
    ("store, 100 to 2000 B, old", True, habit("store 100 500 1900"), {}),
    ("store, tcmalloc", False, habit("store 300 400 200"), TCMALLOC),
    ("store, mimalloc, old", True, habit("store 300 400 200"), MIMALLOC),
    ("cache full in 8 s", False, habit("fill 1000 8000 1000"), {}),
    ("cache full in 30 s", False, habit("fill 1000 15000 500"), {}),
    ("cache full in 100 s", False, habit("fill 2000 20000 200"), {}),
    ("cache full in 100 s, old", True, habit("fill 2000 20000 200"), {}),
    ("random keys, 10 s", False, habit("keys 500 8000 800"), {}),
    ("random keys, 30 s", False, habit("keys 500 24000 800"), {}),
    ("random keys, 30 s, jemalloc", False, habit("keys 500 24000 800"), JEMALLOC),
    ("random keys, 30 s, old", True, habit("keys 500 24000 800"), {}),
    ("sessions, steady", False, habit("sessions 4000 100 10 1"), {}),
    ("sessions, from none", False, habit("sessions 4000 100 10 0"), {}),
    ("sessions, from none, old", True, habit("sessions 4000 100 20 0"), {}),
    ("batches of 3 s", False, habit("teeth 5000 400 3"), {}),
    ("batches of 17 s", False, habit("teeth 5000 100 17"), {}),
    ("batches of 25 s, old", True, habit("teeth 5000 100 25"), {}),
    ("log buffer", False, habit("buffer 4000000 500000"), {}),
    ("log buffer, old", True, habit("buffer 4000000 300000"), {}),
    ("warms up, 5 s", False, habit("warm 1000 20000000 5"), {}),
    ("warms up, 20 s", False, habit("warm 1000 20000000 20"), {}),
    ("warms up, 40 s, old", True, habit("warm 1000 20000000 40"), {}),
    ("thread pool", False, habit("threads 12 2"), {}),
    ("fork server", False, habit("forks 4"), {}),
    ("regions come and go", False, habit("maps 400000 8"), {}),
    ("fills what it mapped", False, habit("reserve 500000000 500000"), {}),
    ("shared memory, touched", False, habit("shared 300000000 500000"), {}),
    ("shared memory, touched, old", True, habit("shared 600000000 500000"), {}),
    ("fragments", False, habit("fragments"), {}),
    ("fragments, old", True, habit("fragments"), {}),
    ("idle", False, habit("idle"), {}),
    ("modules, by chance", False, habit("steps 300000 6 5"), {}),
    ("queue", False, habit("queue 3000 200 6000"), {}),
    ("queue, old", True, habit("queue 3000 200 6000"), {}),
    ("leaker warmup", False, ["@leaker", "warmup", "60"], {}),
    ("leaker fragment", False, ["@leaker", "fragment", "60"], {}),
    ("leaker gc", False, ["@leaker", "gc", "600"], {}),
    ("leaker cache", False, ["@leaker", "cache", "600"], {}),
    ("Python, garbage", False, python(CHURN), {}),
    ("Python, cycles", False, python(CYCLES), {}),
    ("Python, LRU cache", False, python(LRU), {}),
    ("Python, LRU cache, old", True, python(LRU), {}),
    ("Node, garbage", False, ["node", "-e", NODE_CHURN], {}),
    ("Node, LRU cache", False, ["node", "-e", NODE_LRU], {}),
    ("Node, cache of Buffers", False, ["node", "-e", NODE_BUFFERS], {}),
    ("JVM, garbage", False, ["java", "-Xmx128m", "-cp", "%J", "Habits", "garbage"], {}),
    ("JVM, LRU cache", False, ["java", "-Xmx128m", "-cp", "%J", "Habits", "lru"], {}),
    ("JVM, LRU cache, old", True, ["java", "-Xmx128m", "-cp", "%J", "Habits", "lru"], {}),
]

LEAKING = [
    ("1 MB/s", False, habit("leak 3000 333"), {}),
    ("1 MB/s, old", True, habit("leak_old 3000 333 120"), {}),
    ("100 KB/s of 100 B", False, habit("leak 100 1000"), {}),
    ("100 KB/s, old", True, habit("leak_old 1000 100 120"), {}),
    ("1 KiB/s under a store", False, habit("leak_store 1024 1 700 300"), {}),
    ("1 KiB/s under a store, old", True, habit("leak_store 1024 1 700 300"), {}),
    ("20 KB/s under a store", False, habit("leak_store 2000 10 700 300"), {}),
    ("like the store's values", False, habit("leak_store 700 50 700 100"), {}),
    ("10 KB/s, jemalloc", False, habit("leak 1000 10"), JEMALLOC),
    ("200 KB every 2 s", False, habit("leak 200000 0.5"), {}),
    ("100 KB every 5 s, old", True, habit("leak_old 100000 0.2 120"), {}),
    ("5 % of requests", False, habit("leak_part 2000 400 0.05"), {}),
    ("5 % of requests, old", True, habit("leak_part 2000 400 0.05"), {}),
    ("in threads", False, habit("leak_threads 2000 4"), {}),
    ("by mmap", False, habit("leak_maps 40000 10"), {}),
    ("by mmap, old", True, habit("leak_maps 40000 5"), {}),
    ("shared memory, mapped", False, habit("leak_shared 40000 10"), {}),
    ("in five places", False, habit("leak_places 2000 20"), {}),
    ("in five places, old", True, habit("leak_places 2000 20"), {}),
    ("by realloc", False, habit("leak_realloc 20000 10"), {}),
    ("below garbage", False, habit("leak_teeth 4000 100"), {}),
    ("a pool of its own", False, habit("leak_pool 4000 100"), {}),
    ("a pool of its own, old", True, habit("leak_pool 4000 50"), {}),
    ("calloc", False, ["@leaker", "calloc", "600"], {}),
    ("memalign", False, ["@leaker", "memalign", "600"], {}),
    ("stacks of threads", False, ["@leaker", "regions", "600"], {}),
    ("static", False, ["@leaker_static", "heap", "500000", "3000", "600"], {}),
    ("musl", False, ["@leaker_musl", "heap", "500000", "3000", "600"], {}),
    ("C++", False, ["@leaker_cpp", "vector", "500000", "600"], {}),
    ("Rust", False, ["%R", "600"], {}),
    ("Python, list", False, ["/usr/bin/python3", "@leak.py", "list", "1000000", "600"], {}),
    ("Python, malloc", False, ["/usr/bin/python3", "@leak.py", "malloc", "500000", "600"], {}),
    ("Node", False, ["node", "@leak.js", "2000000", "600"], {}),
    ("JVM, static list", False, ["java", "-Xmx512m", "-cp", "%J", "Habits", "leak"], {}),
    ("JVM, malloc", False, ["java", "-Xmx64m", "-cp", "%J", "Habits", "direct"], {}),
]

# the members that tools/check runs: their verdict is certain within half a minute
SHORT = {"store, 700 B", "store, 700 B, jemalloc", "store, 100 to 2000 B", "cache full in 8 s", "random keys, 10 s",
         "shared memory, touched", "shared memory, mapped", "in five places", "batches of 3 s", "log buffer", "fork server", "idle", "Python, garbage",
         "1 MB/s", "100 KB/s of 100 B", "by mmap", "in threads", "C++", "static"}

# members of SHORT that must never be called a leak, however unsure: shared memory in use is not the process's growth
NEVER = {"idle", "shared memory, touched"}
