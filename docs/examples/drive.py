"""How many charges a second does one Python client make: threads, processes or asyncio? And what
does it cost in CPU?

    python3 docs/examples/drive.py [--seconds 2] [--workers 1,2,4,8,16,32,64]

A closed loop: each worker has one connection to the leader and sends the next charge when it has
the answer to the last. All but the `http.client` line speak the same few lines of HTTP over a bare
socket, so that they differ in nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import json
import multiprocessing
import os
import socket
import statistics
import threading
import time
import uuid
from dataclasses import dataclass, field

from etebar_charge import Etebar
from example import PHONE, Seller, claim, cluster, keep, plain, settle


@dataclass
class Tally:
    """What workers did: charges, the CPU time of their process, and how long each answer took, in
    seconds.
    """

    cpu: float = 0.0
    waits: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.cpu += other.cpu
        self.waits += other.waits


def leader() -> str:
    """Host and port of the leader, which is on this machine."""
    servers, key = cluster()
    status = settle(Etebar(servers, key), "GET", "/v1/cluster")
    leads = next(node["api"] for node in status["members"] if node["id"] == status["leader"])
    return "{}:{}".format(*plain(leads))


BODY = json.dumps({"phone": PHONE, "amount": "1"}).encode()


def requests(key: str):
    """The requests of one worker, each under an idempotency key of its own."""
    worker = uuid.uuid4().hex
    for number in itertools.count():
        head = (
            "POST /v1/charges HTTP/1.1\r\nHost: etebar\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\nIdempotency-Key: {worker}-{number}\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        )
        yield head.encode() + BODY


def body_length(head: bytes) -> int:
    """The length of the body that follows this head; it must be that of a charge that was made."""
    if not head.startswith(b"HTTP/1.1 201"):
        raise SystemExit(f"not charged: {head.decode()}")
    at = head.index(b"content-length: ") + 16
    return int(head[at : head.index(b"\r", at)])


def by_socket(address: str, key: str, until: float) -> list[float]:
    """One worker on a bare socket."""
    host, port = address.rsplit(":", 1)
    waits: list[float] = []
    with socket.create_connection((host, int(port)), timeout=30) as node:
        node.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests(key):
            began = time.monotonic()
            if began >= until:
                return waits
            node.sendall(request)
            text = node.recv(65_536)
            while b"\r\n\r\n" not in text:
                text += node.recv(65_536)
            head, body = text.split(b"\r\n\r\n", 1)
            missing = body_length(head + b"\r\n") - len(body)
            while missing > 0:
                missing -= len(node.recv(65_536))
            waits.append(time.monotonic() - began)
    return waits


def by_http_client(address: str, key: str, until: float) -> list[float]:
    """One worker on http.client, as urllib3 and requests have it underneath."""
    connection = http.client.HTTPConnection(address, timeout=30)
    worker = uuid.uuid4().hex
    waits: list[float] = []
    for number in itertools.count():
        began = time.monotonic()
        if began >= until:
            connection.close()
            return waits
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        headers["Idempotency-Key"] = f"{worker}-{number}"
        connection.request("POST", "/v1/charges", BODY, headers)
        answer = connection.getresponse()
        if answer.status != 201:
            raise SystemExit(f"not charged: {answer.read().decode()}")
        answer.read()
        waits.append(time.monotonic() - began)
    raise AssertionError("itertools.count never ends")


async def by_asyncio(address: str, key: str, until: float) -> list[float]:
    """One worker as a task of the event loop."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    waits: list[float] = []
    for request in requests(key):
        began = time.monotonic()
        if began >= until:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(body_length(head))
        waits.append(time.monotonic() - began)
    writer.close()
    return waits


def run_threads(work, address: str, key: str, workers: int, seconds: float) -> Tally:
    tally, until, cpu = Tally(), time.monotonic() + seconds, time.process_time()
    failed = []

    def run() -> None:
        try:
            tally.waits.extend(work(address, key, until))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    tally.cpu = time.process_time() - cpu
    return tally


def run_asyncio(address: str, key: str, workers: int, seconds: float) -> Tally:
    async def run() -> list[list[float]]:
        until = time.monotonic() + seconds
        return await asyncio.gather(*(by_asyncio(address, key, until) for _ in range(workers)))

    cpu = time.process_time()
    waits = list(itertools.chain.from_iterable(asyncio.run(run())))
    return Tally(time.process_time() - cpu, waits)


def process(address: str, key: str, seconds: float, start, tallies) -> None:
    start.wait()
    tallies.put(run_threads(by_socket, address, key, 1, seconds))


def run_processes(address: str, key: str, workers: int, seconds: float) -> Tally:
    system = multiprocessing.get_context("spawn")
    start, tallies, tally = system.Barrier(workers), system.Queue(), Tally()
    arguments = (address, key, seconds, start, tallies)
    processes = [system.Process(target=process, args=arguments) for _ in range(workers)]
    for one in processes:
        one.start()
    for _ in processes:
        tally.add(tallies.get(timeout=seconds + 60))
    for one in processes:
        one.join()
    return tally


KINDS = {
    "asyncio": run_asyncio,
    "threads": lambda *arguments: run_threads(by_socket, *arguments),
    "threads, http.client": lambda *arguments: run_threads(by_http_client, *arguments),
    "processes": run_processes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workers", default="1,2,4,8,16,32,64")
    options = parser.parse_args()
    seller, address, rows, made = Seller(10**12), leader(), [], 0
    for kind, run in KINDS.items():
        for workers in map(int, options.workers.split(",")):
            tally = run(address, seller.key, workers, options.seconds)
            count = len(tally.waits)
            made += count
            rows.append(
                (
                    f'"{kind}"',
                    workers,
                    round(count / options.seconds),
                    f"{tally.cpu / options.seconds:.2f}",
                    round(1e6 * tally.cpu / count),
                    f"{1e3 * statistics.median(tally.waits):.2f}",
                )
            )
            print(
                "{:22} {:>3}: {:>6} charges/s, {} client cores, {} us each, median {} ms".format(
                    *rows[-1]
                )
            )
    header = (
        "kind",
        "workers",
        "charges a second",
        "client cores",
        "client CPU a charge in us",
        "median in ms",
    )
    keep("drive", header, rows)
    claim(seller.charged() == made, "The books show each charge that was counted, and no other.")


if __name__ == "__main__":
    main()
