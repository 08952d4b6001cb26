#!/usr/bin/env python3
"""S3-compatible storage for tests: moto behind a check of every signature, with a log and faults on demand.

    s3_server.py FOLDER KEY SECRET [CERTIFICATE KEY_FILE]

It prints its port once it listens. moto checks signatures in headers alone; here each request is signed in its query, for KEY
and SECRET, unless it has the header `X-Test: yes`. In FOLDER, `log` gets a line `METHOD PATH?QUERY STATUS` for each request,
without what signs it, and these files are read for each request:

    hold    a pattern: a request that matches waits while the file is there, which `held` shows, and is then not done
    fail    `COUNT STATUS CODE PATTERN`: so many requests that match are answered so, such as 503 SlowDown
"""

import hashlib
import hmac
import io
import os
import re
import sys
import threading
import time
import urllib.parse

# Before moto reads it: backups of tests are small.
os.environ["S3_UPLOAD_PART_MIN_SIZE"] = "65536"

from moto.server import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

HOLD_SECONDS = 60
OWNER = "AWS4-HMAC-SHA256 Credential=OWNER/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
LOCK = threading.Lock()


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def fault_of_signature(environ, key, secret):
    """The name of what is wrong with the signature in the query (AWS Signature Version 4); None where nothing is."""
    raw_path, _, raw_query = environ["RAW_URI"].partition("?")
    pairs = [pair.partition("=")[::2] for pair in raw_query.split("&") if pair]
    given = {name: urllib.parse.unquote(value) for name, value in pairs}
    if "X-Amz-Signature" not in given:
        return "AccessDenied"
    access, date, region, service, end = given["X-Amz-Credential"].split("/")
    if access != key:
        return "InvalidAccessKeyId"
    headers = given["X-Amz-SignedHeaders"].split(";")
    named = [f"{name}:{environ['HTTP_' + name.upper().replace('-', '_')].strip()}\n" for name in headers]
    query = "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature")
    request = "\n".join([environ["REQUEST_METHOD"], raw_path, query, "".join(named), ";".join(headers), "UNSIGNED-PAYLOAD"])
    text = "\n".join([
        given["X-Amz-Algorithm"],
        given["X-Amz-Date"],
        f"{date}/{region}/{service}/{end}",
        hashlib.sha256(request.encode()).hexdigest(),
    ])
    signing = ("AWS4" + secret).encode()
    for part in (date, region, service, end):
        signing = digest(signing, part)
    is_right = hmac.compare_digest(digest(signing, text).hex(), given["X-Amz-Signature"])
    return None if is_right else "SignatureDoesNotMatch"


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


class Storage:
    """The application: what is checked and logged before and after moto."""

    def __init__(self, folder, key, secret):
        self.folder, self.key, self.secret = folder, key, secret
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start_response):
        path, _, query = environ["RAW_URI"].partition("?")
        shown = "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-"))
        line = f"{environ['REQUEST_METHOD']} {path}?{shown}"
        is_test = environ.get("HTTP_X_TEST") == "yes"

        def begin(status, *rest):
            if not is_test:
                self.note("log", f"{line} {status.split()[0]}")
            return start_response(status, *rest)

        if not is_test:
            # Read whole in any case, as storage does: the caller has sent it before it reads the answer.
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            fault = fault_of_signature(environ, self.key, self.secret)
            if fault:
                return self.refuse(begin, "403 Forbidden", fault)
            if self.is_held(line):
                return self.refuse(begin, "503 Slow Down", "SlowDown")
            failure = self.failure(line)
            if failure:
                return self.refuse(begin, f"{failure[0]} As Wanted", failure[1])
        # To moto the owner of the bucket and its objects calls; whose signature it is it does not ask.
        environ["HTTP_AUTHORIZATION"] = OWNER
        if environ["REQUEST_METHOD"] == "GET" and "uploadId=" in query:
            return self.list_of_parts(environ, begin)
        return self.moto(environ, begin)

    def list_of_parts(self, environ, begin):
        """As S3 calls it; moto 5.2 gives it another name."""
        given = []
        body = b"".join(self.moto(environ, lambda status, headers, *rest: given.extend([status, headers])))
        body = body.replace(b"ListPartsResponse", b"ListPartsResult")
        headers = [(name, value) for name, value in given[1] if name.lower() != "content-length"]
        begin(given[0], headers + [("Content-Length", str(len(body)))])
        return [body]

    def refuse(self, begin, status, code):
        text = f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
        begin(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
        return [text.encode()]

    def is_held(self, line):
        hold = os.path.join(self.folder, "hold")
        pattern = read(hold)
        if not pattern or not re.search(pattern, line):
            return False
        self.note("held", line)
        until = time.monotonic() + HOLD_SECONDS
        while os.path.exists(hold) and time.monotonic() < until:
            time.sleep(0.02)
        return True

    def failure(self, line):
        """The status and the code that a request is to fail with; None where it is to be done."""
        path = os.path.join(self.folder, "fail")
        with LOCK:
            count, status, code, pattern = (read(path) or "0 0 0 -").split(" ", 3)
            if int(count) == 0 or not re.search(pattern, line):
                return None
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"{int(count) - 1} {status} {code} {pattern}")
            return status, code

    def note(self, name, line):
        with LOCK, open(os.path.join(self.folder, name), "a", encoding="utf-8") as file:
            file.write(line + "\n")


def main():
    folder, key, secret, *files = sys.argv[1:]
    server = make_server("127.0.0.1", 0, Storage(folder, key, secret), threaded=True, ssl_context=tuple(files) or None)
    print(server.server_port, flush=True)
    server.serve_forever()


main()
