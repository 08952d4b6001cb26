"""What the Python client makes of nodes, proxies, strangers and mistakes.

Run by tests/tests/python_client.rs, which makes the certificates: CERTIFICATES names a folder with
ca.pem, node.pem and node.key (for localhost and 127.0.0.1), other.pem (another authority).
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs/examples"))

from etebar_charge import ANSWER_BYTES, Etebar, Mistake, Outcome  # noqa: E402

PHONE, AMOUNT = "0912 345 6789", 5_000
CHARGE = {
    "id": "00000000-0000-0000-0000-000000000001",
    "entry": 7,
    "seller_id": "00000000-0000-0000-0000-000000000002",
    "phone": "+989123456789",
    "amount": "5000",
    "balance": "700000",
    "created_at": "2026-01-31T08:30:00.000Z",
}
SOON = 0.3  # seconds for an attempt, where it has to end by itself
LATE = 20.0  # seconds for what comes at once, on a machine that is busy


def http(status: int, kind: str, body: str | bytes, *more: str) -> bytes:
    """An answer as bytes; `REQUEST` in a header stands for the id of the request."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


OWN = ("Etebar-Node: 1", "X-Request-Id: REQUEST")


def own(status: int, body: dict, *more: str) -> bytes:
    kind = "application/json" if status < 400 else "application/problem+json"
    return http(status, kind, json.dumps(body), *OWN, *more)


def problem(code: str, status: int, *more: str, **members: object) -> bytes:
    return own(
        status, {"code": code, "status": status, "title": "T", "detail": "so", **members}, *more
    )


SOLD = own(201, CHARGE)


def window(seconds: object) -> bytes:
    return own(200, {"leader": 1, "key_window_seconds": seconds})


class Node:
    """Answers each request as told, the last answer for all further ones; remembers what came. How
    long keys are remembered it answers apart from them.
    """

    def __init__(
        self,
        *answers: bytes,
        context: ssl.SSLContext | None = None,
        drip=None,
        cluster: bytes = window(86_400),
        then=lambda: None,
    ) -> None:
        self.answers, self.context, self.drip = list(answers), context, drip
        self.cluster, self.then = cluster, then
        self.requests: list[bytes] = []
        self.times: list[float] = []
        self.window_asked = 0
        self.connections = 0
        self.raw = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            caller, _address = self.listener.accept()
            threading.Thread(target=self.attend, args=(caller,), daemon=True).start()

    def attend(self, caller: socket.socket) -> None:
        self.connections += 1
        try:
            if self.context:
                caller = self.context.wrap_socket(caller, server_side=True)
            with caller:
                while (request := self.read(caller)) is not None:
                    found = re.search(rb"(?i)x-request-id: (\S+)", request)
                    if request.startswith(b"GET /v1/cluster "):
                        self.window_asked += 1
                        caller.sendall(self.cluster.replace(b"REQUEST", found.group(1)))
                        continue
                    self.requests.append(request)
                    self.times.append(time.monotonic())
                    self.then()
                    if self.drip:
                        self.drip(caller, found.group(1))
                        return
                    answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                    answer = answer.replace(b"REQUEST", found.group(1))
                    caller.sendall(answer)
                    if b"\r\nConnection: close" in answer or b"Content-Length" not in answer:
                        return
        except OSError:
            pass  # the caller has heard enough

    def read(self, caller: socket.socket) -> bytes | None:
        text = b""
        while b"\r\n\r\n" not in text:
            more = caller.recv(65_536)
            if not more:
                return None
            text += more
            self.raw += more
        head, body = text.split(b"\r\n\r\n", 1)
        found = re.search(rb"(?i)content-length: (\d+)", head)
        length = int(found.group(1)) if found else 0
        while len(body) < length:
            body += caller.recv(65_536)
        return head + b"\r\n\r\n" + body

    def keys(self) -> set[bytes]:
        found = (re.search(rb"(?i)idempotency-key: (\S+)", request) for request in self.requests)
        return {match.group(1) for match in found if match}


def charge(node: Node, seconds: float = LATE, attempt: float = LATE, **more: object) -> Outcome:
    etebar = Etebar([node.url], "etb_seller_x", attempt_seconds=attempt, **more)
    outcome = etebar.charge("order-1", PHONE, AMOUNT, seconds=seconds)
    etebar.close()
    return outcome


def hasty(node: Node, **more: object) -> Outcome:
    """Gives up after an attempt or a few."""
    return charge(node, seconds=0.06, **more)


class WhatANodeSays(unittest.TestCase):
    def test_its_word_is_certain(self) -> None:
        for answer, verdict, status in [
            (SOLD, "sold", 201),
            (own(201, CHARGE, "Connection: close"), "sold", 201),
            (problem("insufficient_credit", 409, balance="1"), "refused", 409),
            (problem("seller_suspended", 409), "refused", 409),
            (problem("invalid_request", 400), "invalid", 400),
            (problem("unauthenticated", 401), "invalid", 401),
            (problem("idempotency_key_reused", 422), "invalid", 422),
        ]:
            node = Node(answer)
            outcome = charge(node)
            self.assertEqual((outcome.verdict, outcome.status), (verdict, status), answer)
            self.assertEqual(len(node.requests), 1, answer)

    def test_not_done_yet_is_sent_again_under_the_same_key(self) -> None:
        for code, status in [
            ("overloaded", 503),
            ("no_leader", 503),
            ("on_hold", 503),
            ("rate_limited", 429),
            ("disk_full", 507),
        ]:
            node = Node(problem(code, status), SOLD)
            self.assertEqual(charge(node).verdict, "sold", code)
            self.assertEqual((len(node.requests), node.keys()), (2, {b"order-1"}), code)
            self.assertEqual(hasty(Node(problem(code, status))).verdict, "not_done", code)

    def test_what_it_does_not_know_itself_is_unknown(self) -> None:
        for code, status in [("internal", 500), ("outcome_unknown", 504)]:
            node = Node(problem(code, status))
            self.assertEqual(hasty(node).verdict, "unknown")
            self.assertGreaterEqual(len(node.requests), 1)
            self.assertEqual(charge(Node(problem(code, status), SOLD)).verdict, "sold")

    def test_a_no_after_an_attempt_that_may_be_done_settles_nothing(self) -> None:
        for first in (problem("internal", 500), http(503, "text/plain", "upstream connect error")):
            node = Node(first, problem("unauthenticated", 401))
            self.assertEqual(charge(node).verdict, "unknown")
        etebar = Etebar([Node(problem("forbidden", 403)).url], "k")
        self.addCleanup(etebar.close)
        outcome = etebar.charge("o", PHONE, AMOUNT, seconds=0.3, sent_before=True)
        self.assertEqual(outcome.verdict, "unknown")

    def test_a_pause_that_it_asks_for_is_kept_within_reason(self) -> None:
        for asked in ("nan", "inf", "-5", "1e9", "soon", "9" * 5_000, "٣"):
            node = Node(
                problem("overloaded", 503, f"Retry-After: {asked}".encode().decode("latin-1")), SOLD
            )
            self.assertEqual(charge(node).verdict, "sold", asked)
        began = time.monotonic()
        self.assertEqual(
            hasty(Node(problem("overloaded", 503, "Retry-After: 60"))).verdict, "not_done"
        )
        self.assertLess(time.monotonic() - began, LATE)

    def test_a_connection_is_used_again(self) -> None:
        node = Node(SOLD)
        etebar = Etebar([node.url], "k", attempt_seconds=LATE)
        for _ in range(3):
            self.assertEqual(etebar.charge(str(uuid.uuid4()), PHONE, AMOUNT).verdict, "sold")
        etebar.close()
        self.assertEqual((len(node.requests), node.connections), (3, 1))

    def test_every_spelling_of_a_phone_and_an_amount_is_the_charge_that_was_asked_for(self) -> None:
        etebar = Etebar([Node(SOLD).url], "k", attempt_seconds=LATE)
        self.addCleanup(etebar.close)
        for phone in (
            "09123456789",
            "+98 912-345-6789",
            "00989123456789",
            "۰۹۱۲۳۴۵۶۷۸۹",
            "9123456789",
        ):
            for amount in (5_000, "5000", "05000"):
                self.assertEqual(etebar.charge("o", phone, amount).verdict, "sold", phone)


class TheKeyWindow(unittest.TestCase):
    """What may have been done is sent again for half of it."""

    def test_ends_the_attempts_and_the_outcome_is_unknown(self) -> None:
        node = Node(problem("internal", 500), cluster=window(2))
        began = time.monotonic()
        outcome = charge(node, seconds=60.0)
        self.assertLess(time.monotonic() - began, 20.0)
        self.assertEqual((outcome.verdict, outcome.status), ("unknown", 500))
        self.assertIn("half of the 2 s", outcome.body["detail"])
        self.assertGreater(len(node.requests), 1)
        self.assertLess(node.times[-1] - node.times[0], 1.1)
        self.assertEqual(node.window_asked, 1)

    def test_ends_an_attempt_too(self) -> None:
        node = Node(drip=lambda caller, _request_id: caller.recv(1), cluster=window(2))
        began = time.monotonic()
        outcome = charge(node, seconds=60.0, attempt=0.6)
        self.assertEqual(outcome.verdict, "unknown")
        self.assertLess(time.monotonic() - began, 20.0)
        self.assertEqual(len(node.requests), 2)

    def test_is_a_second_until_a_node_tells_it(self) -> None:
        told = json.dumps({"key_window_seconds": 86_400})
        clusters = (
            http(503, "text/plain", "upstream connect error"),
            http(200, "application/json", told),
            http(200, "application/json", told, "Etebar-Node: 1", "X-Request-Id: etb-another"),
            problem("overloaded", 503),
            window(None),
            window(0),
            window(True),
            window("86400"),
            window(10**12),
        )
        nodes = [Node(problem("internal", 500), cluster=cluster) for cluster in clusters]
        with ThreadPoolExecutor(len(nodes)) as pool:
            outcomes = list(pool.map(lambda node: charge(node, seconds=1.5), nodes))
        for cluster, node, outcome in zip(clusters, nodes, outcomes):
            self.assertEqual(outcome.verdict, "unknown", cluster)
            self.assertIn("could not be learned", outcome.body["detail"], cluster)
            self.assertLess(node.times[-1] - node.times[0], 0.6, cluster)
        node = Node(http(503, "text/plain", "upstream connect error"), SOLD, cluster=window(None))
        self.assertEqual(charge(node).verdict, "sold")

    def test_is_not_asked_for_where_the_first_attempt_is_answered(self) -> None:
        for answer in (SOLD, problem("seller_suspended", 409)):
            node = Node(answer)
            charge(node)
            self.assertEqual(node.window_asked, 0)
        node = Node(problem("no_leader", 503), SOLD)
        self.assertEqual((charge(node).verdict, node.window_asked), ("sold", 0))

    def test_a_key_that_was_revoked_meanwhile_settles_nothing(self) -> None:
        node = Node(problem("internal", 500), cluster=problem("unauthenticated", 401))
        outcome = charge(node)
        self.assertEqual((outcome.verdict, outcome.status), ("unknown", 401))
        self.assertEqual(len(node.requests), 1)

    def test_goes_on_while_the_machine_sleeps(self) -> None:
        real, slept = time.time, 0.0

        def sleep() -> None:
            nonlocal slept
            slept += 3_600.0

        with mock.patch("etebar_charge.time.time", lambda: real() + slept):
            node = Node(problem("internal", 500), SOLD, cluster=window(7_000), then=sleep)
            outcome = charge(node, seconds=80_000.0, attempt=80_000.0)
            self.assertEqual((outcome.verdict, outcome.status), ("unknown", 500))
            self.assertEqual(len(node.requests), 1)
            node = Node(problem("no_leader", 503), SOLD, then=sleep)
            outcome = charge(node, seconds=60.0, attempt=80_000.0)
            self.assertEqual((outcome.verdict, len(node.requests)), ("not_done", 1))

    def test_is_told_to_whoever_asks(self) -> None:
        etebar = Etebar([Node(SOLD, cluster=window(3_600)).url, "http://127.0.0.1:1"], "k")
        self.addCleanup(etebar.close)
        self.assertEqual(etebar.key_window(), 3_600)
        self.assertIsNone(Etebar(["http://127.0.0.1:1"], "k").key_window())


class ARate(unittest.TestCase):
    """It is a node's own: the others are asked before anybody waits."""

    def test_of_one_node_keeps_nobody_waiting(self) -> None:
        full = Node(problem("rate_limited", 429, "Retry-After: 60"))
        fine = Node(problem("no_leader", 503), problem("no_leader", 503), SOLD)
        etebar = Etebar([full.url, fine.url], "k", attempt_seconds=LATE)
        self.addCleanup(etebar.close)
        etebar.node()
        etebar.mine.node = 0
        began = time.monotonic()
        self.assertEqual(etebar.charge("o", PHONE, AMOUNT, seconds=50.0).verdict, "sold")
        self.assertLess(time.monotonic() - began, LATE)
        self.assertEqual((len(full.requests), len(fine.requests)), (1, 3))

    def test_of_all_nodes_is_waited_for_where_there_is_time(self) -> None:
        soon = Node(problem("rate_limited", 429, "Retry-After: 1"), SOLD)
        later = Node(problem("rate_limited", 429, "Retry-After: 500"))
        etebar = Etebar([soon.url, later.url], "k", attempt_seconds=LATE)
        self.addCleanup(etebar.close)
        etebar.node()
        etebar.mine.node = 0
        self.assertEqual(etebar.charge("o", PHONE, AMOUNT, seconds=LATE).verdict, "sold")
        self.assertGreaterEqual(soon.times[1] - soon.times[0], 0.99)
        self.assertEqual(len(later.requests), 1)
        self.assertEqual(hasty(later).verdict, "not_done")


class WhatSomebodyElseSays(unittest.TestCase):
    def test_it_leaves_the_outcome_unknown(self) -> None:
        page, text = "<html>sorry</html>", "upstream connect error"
        told = json.dumps(CHARGE)
        lies = [
            http(503, "text/plain", text),
            http(503, "application/json", '{"error":"no upstream"}'),
            http(503, "application/problem+json", '{"code":"overloaded","status":503}'),
            http(429, "text/html", page),
            http(413, "text/html", page),
            http(400, "text/html", page),
            http(400, "text/plain", "", *OWN),
            http(408, "text/plain", "", *OWN),
            http(431, "text/plain", "", *OWN),
            http(401, "text/html", page),
            http(403, "text/html", page),
            http(404, "text/html", page),
            http(409, "text/html", page, *OWN),
            http(409, "application/json", '{"code":"insufficient_credit","status":409}', *OWN),
            http(502, "text/html", page, *OWN),
            http(200, "text/html", page),
            http(200, "application/json", told, *OWN),
            http(204, "application/json", "", *OWN),
            http(201, "application/json", told),
            http(201, "application/json", told, "Etebar-Node: 1"),
            http(201, "application/json", told, "Etebar-Node: 1", "X-Request-Id: etb-another"),
            http(201, "application/json", told, "Etebar-Node: 1", *OWN),
            http(201, "application/json", told, "Etebar-Node: proxy", "X-Request-Id: REQUEST"),
            http(201, "text/html", told, *OWN),
            http(201, "application/json", told[:-1], *OWN),
            http(201, "application/json", "[]", *OWN),
            http(201, "application/json", "null", *OWN),
            http(201, "application/json", "NaN", *OWN),
            http(201, "application/json", "[" * 1_000_000, *OWN),
            http(201, "application/json", '{"id":' + "9" * 1_000_000 + "}", *OWN),
            http(201, "application/json", b"\xff\xfe", *OWN),
            own(201, {}),
            own(201, {**CHARGE, "phone": "+989123456780"}),
            own(201, {**CHARGE, "amount": "500"}),
            own(201, {**CHARGE, "amount": 5000}),
            own(201, {**CHARGE, "id": None}),
            own(200, CHARGE),
            own(202, CHARGE),
            problem("insufficient_credit", 503),
            problem("overloaded", 409),
            problem("no_such_code", 409),
            own(409, {"code": "insufficient_credit", "status": 503}),
            own(409, {"code": ["insufficient_credit"], "status": 409}),
            own(201, CHARGE, "Connection: close")[:-20],
            b"HTTP/1.1 201 X\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 2O1 X\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n",
            b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"",
        ]
        for lie in lies:
            with self.subTest(lie[:200]):
                node = Node(lie)
                outcome = hasty(node)
                self.assertEqual(outcome.verdict, "unknown")
                self.assertEqual(outcome.status, 0)
                self.assertGreaterEqual(len(node.requests), 1)
                self.assertEqual(node.keys(), {b"order-1"})
        node = Node(lies[0], lies[5], SOLD)
        self.assertEqual(charge(node).verdict, "sold")

    def test_a_redirect_is_not_followed(self) -> None:
        other = Node(SOLD)
        for status in (301, 302, 303, 307, 308):
            for more in ((), OWN):
                node = Node(
                    http(status, "text/html", "", f"Location: {other.url}/v1/charges", *more)
                )
                self.assertEqual(hasty(node).verdict, "unknown")
        self.assertEqual((other.requests, other.connections), ([], 0))


class WhatHasNoEnd(unittest.TestCase):
    """An answer that goes on and on ends in time, without taking the memory."""

    def assert_ends(self, drip) -> None:
        began = time.monotonic()
        node = Node(drip=drip)
        outcome = charge(node, seconds=0.1, attempt=SOON)
        self.assertEqual(outcome.verdict, "unknown")
        self.assertLess(time.monotonic() - began, LATE)

    def test_a_body(self) -> None:
        head = b"HTTP/1.1 201 X\r\nContent-Type: application/json\r\nEtebar-Node: 1\r\n"

        def flood(start: bytes, piece: bytes):
            def run(caller: socket.socket, request_id: bytes) -> None:
                caller.sendall(head + b"X-Request-Id: " + request_id + b"\r\n" + start)
                while True:
                    caller.sendall(piece)

            return run

        block = b" " * 65_536
        self.assert_ends(flood(b"\r\n", block))
        self.assert_ends(flood(b"Content-Length: 1000000000000\r\n\r\n", block))
        self.assert_ends(flood(b"Content-Length: %d\r\n\r\n" % 10**30, block))
        self.assert_ends(flood(b"Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\n", block))
        self.assert_ends(
            flood(b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 1_000 + b"\r\n", block)
        )
        self.assert_ends(flood(b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 1_000))
        self.assert_ends(flood(b"", b"A: b\r\n" * 1_000))
        self.assert_ends(flood(b"", b"A" * 65_536))

    def test_a_drip(self) -> None:
        def drip(start: bytes, piece: bytes):
            def run(caller: socket.socket, _request_id: bytes) -> None:
                caller.sendall(start)
                while True:
                    time.sleep(0.05)
                    caller.sendall(piece)

            return run

        self.assert_ends(drip(b"HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n", b" "))
        self.assert_ends(drip(b"HTTP/1.1 201 X\r\n", b"A: b\r\n"))
        self.assert_ends(drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 X\r\n\r\n"))
        self.assert_ends(drip(b"", b"H"))
        self.assert_ends(
            drip(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")
        )

    def test_silence(self) -> None:
        self.assert_ends(lambda caller, _request_id: caller.recv(1))

    def test_the_bound_is_above_any_answer_of_a_node(self) -> None:
        padded = own(201, {**CHARGE, "more": "x" * (ANSWER_BYTES - 2_000)})
        self.assertEqual(charge(Node(padded)).verdict, "sold")
        over = own(201, {**CHARGE, "more": "x" * ANSWER_BYTES})
        self.assertEqual(hasty(Node(over)).verdict, "unknown")


class Mistakes(unittest.TestCase):
    """They are told at once, and nothing is sent."""

    def test_of_an_address(self) -> None:
        for servers in (
            [],
            (),
            "http://127.0.0.1:1",
            [None],
            [""],
            ["127.0.0.1:7101"],
            ["ftp://127.0.0.1:1"],
            ["http://127.0.0.1:0"],
            ["http://127.0.0.1:65536"],
            ["http://127.0.0.1:99999999"],
            ["http://127.0.0.1:x"],
            ["http://127.0.0.1:٣"],
            ["http://127.0.0.1:"],
            ["http://"],
            ["http://:80"],
            ["http://user@127.0.0.1:1"],
            ["http://user:word@127.0.0.1:1"],
            ["http://127.0.0.1:1/v1"],
            ["http://127.0.0.1:1?x"],
            ["http://127.0.0.1:1#x"],
            ["http://127.0.0.1:1\r\nX: y"],
            ["http://127.0.0.1 :1"],
            ["http://127.1:1"],
            ["http://1.2.3.400:1"],
            ["http://::1:80"],
            ["http://[::1"],
            ["http://[::g]:1"],
            ["http://[fe80::1%25lo]:1"],
            ["http://ex\u00e4mple:1"],
            ["http://" + "a" * 64 + ":1"],
            ["http://a..b:1"],
            ["http://127.0.0.1:1", "x"],
        ):
            with self.assertRaises(Mistake, msg=repr(servers)):
                Etebar(servers, "k", allow_plaintext=True)
        self.assertTrue(issubclass(Mistake, ValueError))

    def test_of_a_key_an_amount_a_phone_a_time(self) -> None:
        node = Node(SOLD)
        for key in (
            "",
            "a b",
            "a\nb",
            "a\r\nX: y",
            "k\u00e9y",
            "ک",
            "\u202ek",
            "k" * 1_001,
            None,
            5,
            b"k",
        ):
            with self.assertRaises(Mistake, msg=repr(key)):
                Etebar([node.url], key)
        etebar = Etebar([node.url], "k")
        for key in ("", "a b", "a\nb", 'a"b', '"a"', "k\u00e9y", "k" * 65, None, uuid.uuid4()):
            with self.assertRaises(Mistake, msg=repr(key)):
                etebar.charge(key, PHONE, AMOUNT)
        wrong = (
            0,
            -5,
            1.5,
            5e3,
            True,
            None,
            "",
            "-5",
            "+5",
            " 5",
            "5,000",
            "5e3",
            "1.2.3",
            "۵",
            10**16,
            10**5_000,
        )
        for amount in (*wrong, "9" * 40, "NaN", "5\n", "5\u200b", "0.00"):
            with self.assertRaises(Mistake):
                etebar.charge("o", PHONE, amount)
        for phone in ("", None, 9123456789, "9" * 101, "\ud800"):
            with self.assertRaises(Mistake, msg=repr(phone)):
                etebar.charge("o", phone, AMOUNT)
        for seconds in (0, -1, float("nan"), float("inf"), None, "10", True):
            with self.assertRaises(Mistake, msg=repr(seconds)):
                etebar.charge("o", PHONE, AMOUNT, seconds)
            with self.assertRaises(Mistake, msg=repr(seconds)):
                Etebar([node.url], "k", attempt_seconds=seconds)
        self.assertEqual((node.requests, node.connections), ([], 0))

    def test_of_plaintext_to_another_machine(self) -> None:
        for server in (
            "http://192.0.2.1:7101",
            "http://node-1.example",
            "http://[2001:db8::1]:7101",
            "http://0x7f.1:1",
        ):
            with self.assertRaises(Mistake, msg=server):
                Etebar([server], "k")
            Etebar([server], "k", allow_plaintext=True)
        for server in (
            "http://127.0.0.1:7101",
            "http://127.9.9.9",
            "http://[::1]:7101",
            "http://localhost:7101",
        ):
            Etebar([server], "k")

    def test_nobody_there_is_no_mistake_and_nothing_was_done(self) -> None:
        outcome = Etebar(["http://127.0.0.1:1"], "k").charge("o", PHONE, AMOUNT, 0.2)
        self.assertEqual((outcome.verdict, outcome.status), ("not_done", 0))
        self.assertIn("127.0.0.1:1", outcome.body["detail"])


class Tls(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(os.environ["CERTIFICATES"])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.folder / "node.pem", self.folder / "node.key")

    def test_a_node_that_proves_itself_is_asked(self) -> None:
        node = Node(SOLD, context=self.context)
        ca = str(self.folder / "ca.pem")
        self.assertEqual(charge(node, ca=ca).verdict, "sold")
        node.url = node.url.replace("127.0.0.1", "localhost")
        self.assertEqual(charge(node, ca=ca).verdict, "sold")
        self.assertTrue(all(b"Bearer etb_seller_x" in request for request in node.requests))

    def test_a_node_that_does_not_is_told_nothing(self) -> None:
        for ca in (None, str(self.folder / "other.pem")):
            node = Node(SOLD, context=self.context)
            outcome = hasty(node, ca=ca)
            self.assertEqual((outcome.verdict, node.requests), ("not_done", []), ca)
            self.assertIn("certificate", outcome.body["detail"].lower())
        node = Node(SOLD, context=self.context)
        node.url = node.url.replace("127.0.0.1", "127.0.0.2")
        self.assertEqual(hasty(node, ca=str(self.folder / "ca.pem")).verdict, "not_done")

    def test_https_is_never_spoken_in_clear_text(self) -> None:
        node = Node(SOLD)
        node.url = node.url.replace("http:", "https:")
        outcome = hasty(node, attempt=SOON, ca=str(self.folder / "ca.pem"))
        self.assertEqual(outcome.verdict, "not_done")
        self.assertNotIn(b"etb_seller_x", node.raw)

    def test_an_authority_that_cannot_be_read_is_a_mistake(self) -> None:
        for ca in (str(self.folder / "none.pem"), str(self.folder / "node.key"), str(self.folder)):
            with self.assertRaises(Mistake):
                Etebar(["https://127.0.0.1:1"], "k", ca=ca)
        with self.assertRaises(Mistake):
            Etebar(["http://127.0.0.1:1"], "k", ca=str(self.folder / "ca.pem"))


if __name__ == "__main__":
    unittest.main()
