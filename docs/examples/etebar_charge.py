"""A charge through Etebar from Python, with the standard library alone: take it as it is into a
shop.

The caller draws a key and saves it with the order BEFORE the first attempt. Under that key the
charge may be sent any number of times, over any node, by any process: it moves credit once.

Only a node's own answer is certain. What a proxy, a cache or a stranger answers, what is cut off,
too long or too slow, leaves the outcome unknown, and the charge is sent again under its key: for
half of the time for which the cluster remembers keys, which a node reports.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import json
import math
import os
import random
import re
import socket
import ssl
import threading
import time
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ID_PREFIX = "etb-"  # what the id of every request of this client begins with
ANSWER_BYTES = 4 << 20  # most bytes of one answer, its head included
RETRY_AFTER_SECONDS = 60.0  # longest pause that an overloaded node may ask for
RATE_SECONDS = 86_400.0  # longest time for which a node may take no more of an API key
WINDOW_MIN = 1  # seconds; no key window is shorter, so it is assumed until a node reports one
WINDOW_MAX = 10**10  # seconds; what is longer is no key window
AMOUNT_MAX = 10**15  # minor units, as the ledger has it

# Every error code of a node, with its status: whatever else comes back is not a node's answer.
CODES = {
    "invalid_request": 400,
    "idempotency_key_missing": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "insufficient_credit": 409,
    "seller_suspended": 409,
    "credit_request_decided": 409,
    "charge_reversed": 409,
    "limit_exceeded": 409,
    "name_taken": 409,
    "last_admin_key": 409,
    "member_behind": 409,
    "cannot_lead": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_key_reused": 422,
    "rate_limited": 429,
    "internal": 500,
    "no_leader": 503,
    "overloaded": 503,
    "behind": 503,
    "on_hold": 503,
    "outcome_unknown": 504,
    "disk_full": 507,
}
NOT_DONE_YET = (429, 503, 507)  # certainly not done by this attempt; later it may be
MAY_BE_DONE = (500, 504)  # a node says that it does not know


class Mistake(ValueError):
    """The caller is wrong, and nothing was sent: an address, a key, an amount. Never `unknown`."""


class NotSent(Exception):
    """The node could not be reached, so nothing was asked of it."""


class NoAnswer(http.client.HTTPException):
    """What came back is no node's answer to this request, so nothing is known."""


@dataclass(frozen=True)
class Outcome:
    """What is certain about a charge.

    `sold` and `refused` are decisions: final under this key. `invalid`: not done, and the request
    itself is wrong. `not_done`: no attempt was done. `unknown`: some attempt may
    have been done. The last three leave the order open; the next call under the same key may settle
    it.
    """

    verdict: str
    status: int  # of a node's last answer; 0 where the last attempt got none
    body: dict  # that answer; without one, `detail` says why there is none


@dataclass(frozen=True)
class Server:
    """The address of one node. `tls` says whether it is connected to over TLS."""

    tls: bool
    host: str
    port: int
    authority: str  # as it stands in the Host header

    ADDRESS = re.compile(
        r"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::([0-9]{1,5}))?/?", re.ASCII
    )
    NAME = re.compile(
        r"(?=.{1,253}\Z)(?!-)[0-9A-Za-z_-]{1,63}(?<!-)(\.(?!-)[0-9A-Za-z_-]{1,63}(?<!-))*\.?"
    )

    @classmethod
    def parse(cls, address: Any) -> Server:
        """Reads `http://host:port` or `https://host[:port]`: no path, no user, no query."""
        read = cls.ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if read is None:
            raise Mistake(f"no address of a node such as https://node-1.example:7101: {address!a}")
        scheme, v6, name, digits = read.groups()
        port = int(digits) if digits else {"http": 80, "https": 443}[scheme]
        try:
            if v6 is not None:
                ipaddress.IPv6Address(v6)
            elif re.fullmatch(r"[0-9.]+", name):
                ipaddress.IPv4Address(name)
            elif not cls.NAME.fullmatch(name):
                raise ValueError("no name of a host")
            if not 1 <= port <= 65_535:
                raise ValueError("a port is between 1 and 65535")
        except ValueError as error:
            raise Mistake(f"{address!a}: {error}") from None
        host = v6 or name
        shown = f"[{host}]" if v6 else host
        return cls(scheme == "https", host, port, f"{shown}:{port}")

    def is_loopback(self) -> bool:
        """Whether what is sent stays on this machine."""
        if self.host.lower().rstrip(".") == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Limit:
    """So many seconds from now, by whichever of two clocks went further: the monotonic one stands
    still while the machine sleeps, the other can be set.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.began = seconds, (time.monotonic(), time.time())

    def passed(self) -> float:
        monotonic, wall = self.began
        return max(time.monotonic() - monotonic, time.time() - wall)

    def left(self) -> float:
        """Seconds that are left; raises where there are none."""
        seconds = self.seconds - self.passed()
        if seconds <= 0:
            raise TimeoutError("no whole answer in time")
        return seconds


class Timed(io.RawIOBase):
    """One answer as it comes from a socket: ends at a deadline and after so many bytes, however
    slowly it comes.
    """

    def __init__(self, sock: socket.socket, limit: Limit) -> None:
        # A file of the socket's own keeps it open until this is closed, as http.client expects.
        self.sock, self.raw = sock, sock.makefile("rb", buffering=0)
        self.limit, self.left = limit, ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.left <= 0:
            raise NoAnswer(f"the answer is over {ANSWER_BYTES} bytes")
        self.sock.settimeout(self.limit.left())
        count = self.raw.readinto(memoryview(buffer)[: self.left]) or 0
        self.left -= count
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


class Wire:
    """What http.client takes for a socket: the same, with an end to each request and answer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.limit = sock, Limit(0.0)

    def sendall(self, data: Any) -> None:
        self.sock.settimeout(self.limit.left())
        self.sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(Timed(self.sock, self.limit))

    def close(self) -> None:
        self.sock.close()


class CallState:
    """What is known of one call after its attempts so far."""

    def __init__(self, seconds: float, sent_before: bool) -> None:
        self.limit = Limit(seconds)
        self.since = Limit(0.0) if sent_before else None  # the first attempt that may be done
        self.ready: dict[int, float] = {}  # when a node takes more again of this API key
        self.status, self.answer = 0, {}  # the last attempt's answer
        self.turns, self.attempts = 0, 0
        self.wait = 0.0  # seconds that the last attempt's node asks for
        self.why = ""  # why the charge is not sent again
        self.ended = False

    def record(self, status: int, answer: dict) -> None:
        self.status, self.answer, self.why = status, answer, ""

    def may_be_done(self, since: Limit) -> None:
        self.since = self.since or since

    def pause(self, nodes: int) -> float:
        """Seconds until the next turn: no long wait before every node was asked once."""
        rounds = self.turns // nodes
        pause = 0.005 if rounds == 0 else min(1.0, 0.05 * 2 ** min(rounds - 1, 6))
        return max(self.wait, pause * random.uniform(0.5, 1.0))

    def unsettled(self) -> Outcome:
        """The end without an answer that settles it."""
        body = self.answer
        if self.why:
            body = {**body, "detail": f"{body.get('detail', '')}; not sent again: {self.why}"}
        return Outcome("not_done" if self.since is None else "unknown", self.status, body)


class Etebar:
    """The nodes of one cluster, under one API key. One object serves all threads and survives a
    fork.

    `ca` is a file with the authorities that https servers are checked against, the system's unless
    given. The API key is sent in clear text to loopback addresses alone, unless `allow_plaintext`
    says that the way to the others is safe. Raises `Mistake` where an argument is wrong.
    """

    def __init__(
        self,
        servers: list[str],
        key: str,
        attempt_seconds: float = 3.0,
        ca: str | None = None,
        allow_plaintext: bool = False,
    ) -> None:
        if isinstance(servers, (str, bytes)) or not servers:
            raise Mistake("servers is a list of one address or more")
        self.servers = [Server.parse(server) for server in servers]
        self.key = visible(key, "an API key", 1_000)
        self.attempt_seconds = span(attempt_seconds, "attempt_seconds")
        for server in self.servers:
            if not (server.tls or allow_plaintext or server.is_loopback()):
                raise Mistake(
                    f"http://{server.authority} would get the API key in clear text: use https, "
                    "or say allow_plaintext=True where the way to it is safe"
                )
        self.tls = self.context(ca)
        self.window: int | None = None  # seconds that keys are remembered; None while unknown
        self.mine = (
            threading.local()
        )  # a connection a thread: HTTP/1.1 answers in order, so it cannot be shared

    def context(self, ca: str | None) -> ssl.SSLContext | None:
        """How servers prove who they are; nothing where none speaks TLS."""
        if not any(server.tls for server in self.servers):
            if ca is not None:
                raise Mistake("ca is given, and no server's address begins with https://")
            return None
        try:
            context = ssl.create_default_context(cafile=ca)
        except (OSError, ValueError) as error:  # ssl's own errors are OSErrors
            raise Mistake(f"ca {ca!a}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def charge(
        self,
        key: str,
        phone: str,
        amount: int | str,
        seconds: float = 10.0,
        sent_before: bool = False,
    ) -> Outcome:
        """Sends the charge until an answer settles it or `seconds` are over; the last attempt
        may take `attempt_seconds` longer. What may have been done is sent again for half of the key
        window at most: the outcome is then `unknown`.

        `amount` is a whole number, or a text such as "12.50" where the currency has decimal places.
        `sent_before` says that an earlier call under this key may have been done: then an answer
        that is about this attempt alone settles nothing. It is for the caller to make no such call
        when half of `key_window()` has passed since the first.
        """
        visible(key, "an idempotency key", 64, but='"')
        body = {"phone": spelling(phone), "amount": digits(amount)}
        state = CallState(span(seconds, "seconds"), sent_before)
        while True:
            state.turns += 1
            state.wait = self.next_ready(state)
            if state.wait == 0 and (within := self.may_send(state)) > 0:
                settled = self.attempt(key, body, state, within)
                if settled is not None:
                    return settled
            self.next_node()
            pause = state.pause(len(self.servers))
            if state.ended or state.limit.passed() + pause >= state.limit.seconds:
                return state.unsettled()
            time.sleep(pause)

    def attempt(self, key: str, body: dict, state: CallState, within: float) -> Outcome | None:
        """One attempt within so many seconds, and the outcome where its answer settles it."""
        started = Limit(within)
        state.attempts += 1
        try:
            status, answer, headers = self.send("POST", "/v1/charges", body, key, within)
            state.record(status, answer)
            if status == 201 and is_charge(answer, body):
                return Outcome("sold", status, answer)
            if status == 409:
                return Outcome("refused", status, answer)
            if status == 429:  # each node has a rate of its own: the others are asked first
                seconds = max(1.0, asked_pause(headers, RATE_SECONDS))
                state.ready[self.node()] = time.monotonic() + seconds
            elif status in NOT_DONE_YET:
                state.wait = asked_pause(headers, RETRY_AFTER_SECONDS)
            elif status in MAY_BE_DONE:
                state.may_be_done(started)
            elif 400 <= status < 500:
                # This attempt was not done. An earlier one that got no answer may have been.
                return Outcome("invalid" if state.since is None else "unknown", status, answer)
            else:
                raise NoAnswer(f"{status} is no answer to this charge")
        except NotSent as error:
            state.record(0, {"detail": str(error)})
        except (OSError, http.client.HTTPException) as error:
            state.record(0, {"detail": f"{error!r}"})
            state.may_be_done(started)
        return None

    def next_ready(self, state: CallState) -> float:
        """Turns to the next node that takes something of this API key; seconds until one does."""
        for _ in self.servers:
            if state.ready.get(self.node(), 0.0) <= time.monotonic():
                return 0.0
            self.next_node()
        return max(0.001, min(state.ready.values()) - time.monotonic())

    def may_send(self, state: CallState) -> float:
        """For how many seconds an attempt may be made now. What may have been done is sent again
        only while its key is certainly remembered.
        """
        if state.since is None or state.attempts == 0:
            return self.attempt_seconds
        why = f"half of the {self.window} s has passed for which keys are remembered"
        if self.window is None:
            why = "how long keys are remembered could not be learned"
            try:
                status, answer = self.ask_window(self.attempt_seconds)
                if status == 401:
                    state.record(status, answer)
                    state.ended = True
                    return 0.0
            except (NotSent, OSError, http.client.HTTPException) as error:
                why += f": {error}"
        left = (self.window or WINDOW_MIN) / 2 - state.since.passed()
        if left <= 0:
            state.why, state.ended = why, self.window is not None
        return min(self.attempt_seconds, left)

    def ask_window(self, within: float) -> tuple[int, dict]:
        """Learns from this thread's node how long its cluster remembers keys."""
        status, answer, _headers = self.send("GET", "/v1/cluster", within=within)
        seconds = answer.get("key_window_seconds")
        is_number = isinstance(seconds, int) and not isinstance(seconds, bool)
        if status == 200 and is_number and WINDOW_MIN <= seconds <= WINDOW_MAX:
            self.window = seconds
        return status, answer

    def key_window(self) -> int | None:
        """Seconds for which the cluster remembers a key; None where no node reports it.

        A key that was first sent half of it ago or less may be sent again by `charge`.
        """
        for _ in self.servers:
            if self.window is not None:
                break
            try:
                self.ask_window(self.attempt_seconds)
            except (NotSent, OSError, http.client.HTTPException):
                self.next_node()
        return self.window

    def send(
        self,
        method: str,
        path: str,
        body: dict | None = None,
        key: str | None = None,
        within: float | None = None,
    ) -> tuple[int, dict, http.client.HTTPMessage]:
        """One attempt at one node, and the node's own answer: never a redirect, never a proxy's.

        Raises `Mistake` where the request is wrong, `NotSent` where nothing went out, and OSError
        or HTTPException (`NoAnswer`) where no node's answer came within so many seconds,
        `attempt_seconds` unless given.
        """
        request_id = ID_PREFIX + uuid.uuid4().hex
        headers = {"Authorization": f"Bearer {self.key}", "X-Request-Id": request_id}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        if key is not None:
            headers["Idempotency-Key"] = visible(key, "an idempotency key", 64, but='"')
        if not re.fullmatch(r"/[!-~]*", path):
            raise Mistake(f"no path: {path!a}")
        limit = Limit(self.attempt_seconds if within is None else within)
        connection = self.connection(limit)
        headers["Host"] = self.servers[self.mine.node].authority
        try:
            connection.sock.limit = limit
            connection.request(method, path, data, headers)
            response, text = whole_answer(connection)
            return response.status, own_answer(response, text, request_id), response.headers
        except BaseException:
            self.mine.connection = None  # its next bytes might be the answer to this request
            connection.close()
            raise

    def node(self) -> int:
        """The node that this thread asks in this process: a random one at first."""
        mine = self.mine
        if getattr(mine, "process", None) != os.getpid():
            mine.process, mine.connection = os.getpid(), None
            mine.node = random.randrange(len(self.servers))
        return mine.node

    def connection(self, limit: Limit) -> http.client.HTTPConnection:
        """This thread's connection in this process; one made before a fork is the parent's."""
        node, mine = self.node(), self.mine
        if mine.connection is None or mine.connection.sock is None:
            server = self.servers[node]
            connection = http.client.HTTPConnection(server.host, server.port)
            connection.auto_open = 0  # else it would open one of its own, without TLS
            try:
                connection.sock = Wire(self.dial(server, limit))
            except (OSError, UnicodeError) as error:
                raise NotSent(f"{server.authority}: {error}") from error
            mine.connection = connection
        return mine.connection

    def dial(self, server: Server, limit: Limit) -> socket.socket:
        """A socket to that server, over TLS where its address says so."""
        last: OSError = OSError("the name has no address")
        for family, kind, protocol, _name, address in socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(limit.left())
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if server.tls and self.tls is not None:
                    sock.settimeout(limit.left())
                    sock = self.tls.wrap_socket(sock, server_hostname=server.host)
                return sock
            except OSError as error:
                last = error
                sock.close()
            except BaseException:
                sock.close()
                raise
        raise last

    def close(self) -> None:
        """Closes this thread's connection; the next call opens another."""
        mine = self.mine
        if getattr(mine, "connection", None) is not None:
            mine.connection.close()
            mine.connection = None

    def next_node(self) -> None:
        """From here on this thread asks another node."""
        node = self.node()
        self.close()
        self.mine.node = (node + 1) % len(self.servers)


def whole_answer(
    connection: http.client.HTTPConnection,
) -> tuple[http.client.HTTPResponse, bytes]:
    """An answer with its body, read piece by piece: what it says of its length is not believed."""
    try:
        response = connection.getresponse()
        pieces = []
        while piece := response.read(65_536):
            pieces.append(piece)
        return response, b"".join(pieces)
    except (ValueError, OverflowError) as error:  # what http.client trips over
        raise NoAnswer(f"no HTTP: {error}") from error


def own_answer(response: http.client.HTTPResponse, text: bytes, request_id: str) -> dict:
    """The body of a node's own answer to this request; raises `NoAnswer` for any other.

    It names the node and a request, and not another request of this client; an error is a problem
    with a code that fits its status.
    """
    nodes = response.headers.get_all("Etebar-Node") or []
    if len(nodes) != 1 or not re.fullmatch(r"[0-9]{1,20}", nodes[0], re.ASCII):
        raise NoAnswer(f"an answer {response.status} that is no node's")
    # A proxy may replace the id, which proves nothing; only one of this client proves anything.
    names = response.headers.get_all("X-Request-Id") or []
    if len(names) != 1 or (names[0].startswith(ID_PREFIX) and names[0] != request_id):
        raise NoAnswer("the answer to another request")
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if response.status == 204 and not text:
        return {}
    body = read_json(text)
    if 200 <= response.status < 300 and kind == "application/json":
        return body
    code = body.get("code")
    fits = isinstance(code, str) and CODES.get(code) == response.status == body.get("status")
    if kind == "application/problem+json" and fits:
        return body
    raise NoAnswer(f"an answer {response.status} without a code of a node")


def read_json(text: bytes) -> dict:
    """The object that an answer holds; raises `NoAnswer` where it holds another thing."""

    def number(digits: str) -> int:
        if len(digits) > 20:
            raise ValueError("a number without end")
        return int(digits)

    def nothing(_name: str) -> None:
        raise ValueError("no JSON")

    try:
        body = json.loads(text, parse_int=number, parse_constant=nothing)
    except (ValueError, RecursionError) as error:
        raise NoAnswer(f"no JSON: {error}") from None
    if not isinstance(body, dict):
        raise NoAnswer("no JSON object")
    return body


def is_charge(answer: dict, asked: dict) -> bool:
    """Whether a 201 holds the charge that was asked for: that amount, to that phone."""
    phone, amount = answer.get("phone"), answer.get("amount")
    if not (
        isinstance(phone, str) and isinstance(amount, str) and isinstance(answer.get("id"), str)
    ):
        return False
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", phone, re.ASCII):
        return False
    if not re.fullmatch(r"[0-9]{1,16}(\.[0-9]{1,4})?", amount, re.ASCII):
        return False
    wanted = "".join(str(int(char)) for char in asked["phone"] if char.isdecimal()).lstrip("0")
    return phone[1:] in (wanted, f"98{wanted}") and Decimal(amount) == Decimal(asked["amount"])


def asked_pause(headers: http.client.HTTPMessage, most: float) -> float:
    """Seconds that a node asks to wait, within reason."""
    text = headers.get("Retry-After", "")
    seconds = float(text) if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) else 0.0
    return min(seconds, most)


def visible(text: Any, what: str, most: int, but: str = "") -> str:
    """A text of visible ASCII characters, as a header takes it: no space, no line feed."""
    if not isinstance(text, str) or not 1 <= len(text) <= most:
        raise Mistake(f"{what} is a text of 1 to {most} characters")
    wrong = next((char for char in text if not "!" <= char <= "~" or char in but), None)
    if wrong is not None:
        raise Mistake(f"{what} has visible ASCII characters alone: U+{ord(wrong):04X} is none")
    return text


def spelling(phone: Any) -> str:
    """A phone number as people write it; the node says whether it is one."""
    if not isinstance(phone, str) or not 1 <= len(phone) <= 100:
        raise Mistake("a phone number is a text of 1 to 100 characters")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in phone):
        raise Mistake("a phone number that is no Unicode text")
    return phone


def digits(amount: Any) -> str:
    """An amount as the API takes it. A float is none: 0.1 is not what it says."""
    is_number = isinstance(amount, int) and not isinstance(amount, bool)
    text = str(amount) if is_number and 0 < amount <= AMOUNT_MAX else amount
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,16}(\.[0-9]{1,4})?", text, re.ASCII):
        raise Mistake(
            'an amount is a whole number, or digits such as "5000" or "12.50", without sign, '
            "spaces and separators, greater than zero and at most 10^15"
        )
    if not 0 < Decimal(text) <= AMOUNT_MAX:
        raise Mistake("an amount is greater than zero and at most 10^15")
    return text


def span(seconds: Any, what: str) -> float:
    """A number of seconds that ends."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise Mistake(f"{what} is a number of seconds")
    if not (math.isfinite(seconds) and 0 < seconds <= 86_400):
        raise Mistake(f"{what} is more than nothing and at most a day")
    return float(seconds)
