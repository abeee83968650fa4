"""Load test of the API: many clients at once for minutes, some of which disconnect midway.

    python benchmarks/serve.py [--quick] [--clients 64] [--seconds 120] [--model prose]

Each client requests one completion after another, alternately streamed and not; every tenth stream is closed after its
first piece. After a 429 (no free place), a client waits and tries again. All answers must be 200 or 429, and the
server's memory must not grow after the first tenth of the time.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import measure.report as report
from measure.report import Figure

GROWTH = 1.1  # memory relative to that after the first tenth that counts as no growth
WAIT_SECONDS = 0.2
TOKENS = 32


class Load:
    """Results of all clients."""

    def __init__(self, base: str, ends: float):
        self.base, self.ends, self.lock = base, ends, threading.Lock()
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []

    def client(self, number: int) -> None:
        stream, count = random.Random(number), 0
        while time.monotonic() < self.ends:
            count += 1
            body = {"prompt": f"Once {number}", "max_tokens": TOKENS, "seed": count, "stream": count % 2 == 0}
            found, seconds = self.ask(body, leave=body["stream"] and stream.random() < 0.1)
            with self.lock:
                self.answers[found] += 1
                if found == "200":
                    self.seconds.append(seconds)
            if found == "429":
                time.sleep(WAIT_SECONDS)

    def ask(self, body: dict, leave: bool) -> tuple[str, float]:
        headers, began = {"content-type": "application/json"}, time.monotonic()
        asked = urllib.request.Request(f"{self.base}/v1/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                if leave:
                    answer.readline()
                    return "left", 0.0
                whole = answer.read()
            fine = whole.endswith(b"data: [DONE]\n\n") if body["stream"] else json.loads(whole)["choices"]
            return "200" if fine else "cut short", time.monotonic() - began
        except urllib.error.HTTPError as error:
            error.close()
            return str(error.code), 0.0
        except OSError as error:
            return type(error).__name__, 0.0


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def serving(model: str) -> tuple[subprocess.Popen, str]:
    """Starts a server at a free port and waits until it answers."""
    command = [str(Path(sys.executable).with_name("septet")), "serve", "api", "--port", "0", "--model", model]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "Listening at" in line:
            return process, line.split()[2].removesuffix("/v1")
    raise SystemExit(f"the server did not start: {process.wait()}")


def measured(asked: argparse.Namespace) -> list[Figure]:
    process, base = serving(asked.model)
    try:
        seconds = 6 if asked.quick else asked.seconds
        load = Load(base, time.monotonic() + seconds)
        clients = [threading.Thread(target=load.client, args=(n,)) for n in range(asked.clients)]
        for client in clients:
            client.start()
        time.sleep(seconds / 10)
        early = memory_bytes(process.pid)
        for client in clients:
            client.join()
        late = memory_bytes(process.pid)
    finally:
        process.terminate()
        process.wait()
    print(dict(load.answers))
    good = {"200", "429", "left"}
    wrong = sum(count for found, count in load.answers.items() if found not in good)
    times = statistics.quantiles(load.seconds, n=20) if len(load.seconds) > 1 else [float("nan")] * 19
    return [
        Figure("answered", load.answers["200"]),
        Figure("turned away", load.answers["429"]),
        Figure("left", load.answers["left"]),
        Figure("anything else", wrong, at_most=0),
        Figure("tokens per second, all clients", load.answers["200"] * TOKENS / seconds, "tokens/s"),
        Figure("an answer, median", times[9], "s"),
        Figure("an answer, 95th percentile", times[18], "s"),
        Figure("memory", late / 1e6, "MB"),
        Figure("memory at the end / after a tenth", late / early, "times", at_most=GROWTH),
    ]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--model", default="prose")
    asked, began = parser.parse_args(), time.monotonic()
    report.answer(measured(asked), began, asked.quick, clients=asked.clients)


if __name__ == "__main__":
    main()
