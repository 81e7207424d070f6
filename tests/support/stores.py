"""A store on a port of its own, with troubles that can be switched on, whatever its protocol."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

LONG = " ".join(f"Word {n} of an article that is long enough." for n in range(40))
SMALL = (
    "--min_tokens 100 --context_tokens 50 --continuation_tokens 50 --modes tiny --shard_rows 1 "
    "--tokenizer small --no_report"
)


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def log(self, *_: Any, **__: Any) -> None:
        pass


class TroubledStore:
    """A store of one bucket.

    requests: the method and the object, as /bucket/key, of each request. fail_every: of how many
    one is answered with 500 or 503 in turn, and each second time after it was carried out.
    away_after: the object after whose writing the store goes away, that is, refuses everything.
    cut: how many answers to GET break off. denied: a part of a request's method and object; such
    are answered with 403. refused: how many requests came while the store was away.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.calm()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self.address = f"http://127.0.0.1:{self._server.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def calm(self) -> None:
        """End all troubles, and forget what was asked for."""
        self.requests: list[tuple[str, str]] = []
        self.fail_every: int | None = None
        self.cut = self.refused = 0
        self.away_after: str | None = None
        self.denied: str | None = None
        self.away = False

    def deny(self, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer with 403, as the store would."""
        raise NotImplementedError

    def object_of(self, environ: dict[str, Any]) -> str:
        return environ["PATH_INFO"]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if not environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
        path = self.object_of(environ)
        with self._lock:
            if self.away:
                self.refused += 1
                return self._refuse("503 Service Unavailable", start)
            self.requests.append((method, path))
            number = len(self.requests)
            self.away = method in ("PUT", "POST") and self.away_after == path
        if self.denied is not None and self.denied in f"{method} {path}":
            told = self.deny(start)
            return [b""] if method == "HEAD" else told
        if method == "GET" and self.cut > 0:
            self.cut -= 1
            return [b"".join(self._app(environ, start))[:-1]]  # one byte less than announced
        if self.fail_every is None or number % self.fail_every:
            return self._app(environ, start)
        turn = number // self.fail_every
        if turn % 2:
            b"".join(self._app(environ, lambda *_: None))
        status = "500 Internal Server Error" if turn % 4 < 2 else "503 Slow Down"
        return self._refuse(status, start)

    @staticmethod
    def _refuse(status: str, start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, [("Content-Length", "0")])
        return [b""]

    def close(self) -> None:
        self._server.shutdown()
