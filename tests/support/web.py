"""A browser of the plainest kind, for what a pool shows over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable

import attrs

from trio_pool.threaded import ThreadedPool

PATIENCE_SECONDS = 60


@attrs.frozen
class Page:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def data(self) -> object:
        return json.loads(self.body)


def place_of(pool: ThreadedPool) -> tuple[str, int]:
    """Where a pool shows itself."""
    (address,) = pool.server.http_addresses
    return address


def ask(
    pool: ThreadedPool,
    path: str,
    method: str = "GET",
    body: object = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Page:
    """One request; a body travels as JSON."""
    connection = http.client.HTTPConnection(*place_of(pool), timeout=PATIENCE_SECONDS)
    try:
        kind = {} if body is None else {"content-type": "application/json"}
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, kind | dict(headers))
        response = connection.getresponse()
        return Page(response.status, response.headers, response.read())
    finally:
        connection.close()
