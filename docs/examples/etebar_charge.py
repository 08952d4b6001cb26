"""A charge through Etebar from Python, with the standard library alone: take it as it is into a
shop.

The caller draws a key and saves it with the order BEFORE the first attempt. Under that key the
charge may be sent any number of times, over any node, by any process: it moves credit once.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

NOT_DONE_YET = (408, 429, 503, 507)  # certainly not done by this attempt; later it may be


class NotSent(Exception):
    """The node could not be reached, so nothing was asked of it."""


@dataclass(frozen=True)
class Outcome:
    """What is certain about a charge.

    `sold` and `refused` are decisions: final, the same for ever under this key. `mend`: not done,
    and the request itself is wrong. `not_done`: no attempt was done. `unknown`: some attempt may
    have been done. The last three leave the order open; the next call under the same key may settle
    it.
    """

    verdict: str
    status: int  # of the last answer; 0 where there was none
    body: dict


class Etebar:
    """The nodes of one cluster, under one API key. One object serves all threads and survives a
    fork.
    """

    def __init__(self, servers: list[str], key: str, attempt_seconds: float = 3.0) -> None:
        self.servers = [urlsplit(server).netloc for server in servers]
        self.key = key
        self.attempt_seconds = attempt_seconds
        self.mine = (
            threading.local()
        )  # a connection a thread: HTTP/1.1 answers in order, so it cannot be shared

    def charge(
        self, key: str, phone: str, amount: int, seconds: float = 10.0, sent_before: bool = False
    ) -> Outcome:
        """Sends the charge until an answer settles it or `seconds` are over; the last attempt
        may take `attempt_seconds` longer.

        `sent_before` says that an earlier call under this key may have been done: then an answer
        that is about this attempt alone settles nothing.
        """
        body = {"phone": phone, "amount": str(amount)}
        deadline = time.monotonic() + seconds
        answer: dict = {}
        status, attempt, may_be_done = 0, 0, sent_before
        while True:
            wait = 0.0
            try:
                status, answer, headers = self.send("POST", "/v1/charges", body, key)
                wait = (
                    float(headers.get("Retry-After", 0))
                    if answer.get("code") == "overloaded"
                    else 0.0
                )
                if status == 201:
                    return Outcome("sold", status, answer)
                if status == 409:
                    return Outcome("refused", status, answer)
                if 400 <= status < 500 and status not in NOT_DONE_YET:
                    # This attempt was not done. An earlier one that got no answer may have been.
                    return Outcome("unknown" if may_be_done else "mend", status, answer)
                may_be_done |= status not in NOT_DONE_YET
            except NotSent:
                status, answer = 0, {}
            except (OSError, http.client.HTTPException, ValueError):
                status, answer, may_be_done = 0, {}, True
            self.next_node()
            attempt += 1
            rounds = attempt // len(self.servers)  # no long wait before every node was asked once
            pause = 0.005 if rounds == 0 else min(1.0, 0.05 * 2 ** min(rounds - 1, 6))
            pause = max(wait, pause * random.uniform(0.5, 1.0))
            if time.monotonic() + pause >= deadline:
                return Outcome("unknown" if may_be_done else "not_done", status, answer)
            time.sleep(pause)

    def send(
        self, method: str, path: str, body: dict | None = None, key: str | None = None
    ) -> tuple[int, dict, http.client.HTTPMessage]:
        """One attempt at one node. Raises `NotSent` where nothing went out, OSError or
        HTTPException where no answer came.
        """
        request_id = uuid.uuid4().hex
        headers = {"Authorization": f"Bearer {self.key}", "X-Request-Id": request_id}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        connection = self.connection()
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None, headers
            )
            response = connection.getresponse()
            text = response.read()
            if response.headers.get("X-Request-Id") != request_id:
                raise http.client.HTTPException("the answer to another request")
            return response.status, json.loads(text) if text else {}, response.headers
        except BaseException:
            self.mine.connection = None  # its next bytes might be the answer to this request
            connection.close()
            raise

    def connection(self) -> http.client.HTTPConnection:
        """This thread's connection in this process; one made before a fork is the parent's."""
        mine = self.mine
        if getattr(mine, "process", None) != os.getpid():
            mine.process, mine.connection = os.getpid(), None
            mine.node = random.randrange(len(self.servers))
        if mine.connection is None:
            mine.connection = http.client.HTTPConnection(
                self.servers[mine.node], timeout=self.attempt_seconds
            )
        if mine.connection.sock is None:
            try:
                mine.connection.connect()
            except OSError as error:
                raise NotSent(str(error)) from error
        return mine.connection

    def next_node(self) -> None:
        """From here on this thread asks another node."""
        mine = self.mine
        if getattr(mine, "connection", None) is not None:
            mine.connection.close()
            mine.connection = None
        mine.node = (getattr(mine, "node", 0) + 1) % len(self.servers)
