"""Shared by the benches that compare a program with its peers, each as a separate process.

The measured program runs on the first CPU, the load generator on the second. CPU is the kernel's count (1/100 s),
memory is Pss.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PATHS = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ["PATH"]


class Peer:
    def __init__(self, name, command, port, h2=True, environment=None):
        self.name, self.command, self.port, self.h2 = name, command, port, h2
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def start(self, connected):
        """Starts the program on the first CPU and waits until `connected` succeeds."""
        self.process = subprocess.Popen(["taskset", "-c", "0", *self.command], env=self.environment,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with connected(self):
                    return
            except OSError:
                time.sleep(0.01)
        sys.exit(f"{self.name} does not start: {' '.join(self.command)}")

    def processes(self):
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += [int(word) for word in task.read_text().split()]
        return set(found)

    def cpu(self):
        total = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def memory(self, kind="Pss"):
        total = 0
        for pid in self.processes():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(rf"^{kind}:\s+(\d+)", rollup, re.M)[1])
        return total / 1024

    def stop(self):
        children = self.processes() - {self.process.pid}
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in children:
            try:
                os.kill(child, 15)
            except ProcessLookupError:
                pass


def load(command):
    done = subprocess.run(["taskset", "-c", "1", *command], text=True, capture_output=True, timeout=120, check=False)
    return done.stdout + done.stderr


def cost(peer, work):
    """Returns CPU microseconds per operation of `work`, which returns the number of operations."""
    before = peer.cpu()
    count = work(peer)
    return (peer.cpu() - before) / count * 1e6


def table(title, unit, found):
    """Prints the median and range of the values of each name, one value per round."""
    rounds = max(map(len, found.values()))
    print(f"\n{title} ({unit}; {rounds} rounds, median, minimum to maximum)")
    for name, values in found.items():
        values = [value for value in values if value is not None]
        if values:
            middle = statistics.median(values)
            print(f"  {name:24} {middle:9.3g}   {min(values):.3g} to {max(values):.3g}")
