"""A Hugging Face hub on a port of its own, with troubles that can be switched on.

It has datasets with commits, and sends to a second server for the content, as the real one does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

FINEWIKI = "HuggingFaceFW/finewiki"


class Request(NamedTuple):
    method: str
    path: str
    range: str | None
    sent: int


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub: FakeHub, serve: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.serve = hub, serve
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        pass  # a client that goes away


class FakeHub:
    """A hub and its store.

    token: what a request to the hub must carry. statuses: what the next requests for content are
    answered with instead. retry_after: what they are told then. cut: how many answers of content
    break off after half of it. reset: whether as where a machine is gone. stall: set to let content
    through, if there. small: the largest file that is not stored as a large one. lie: bytes sent
    instead of a file's. whole: whether ranges are not served. expired: changed, it makes the
    addresses of content no longer good. page: how many entries a listing has on one page. more:
    whether it goes on for ever. endless: whether content does. xet: whether there is another way.
    """

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.branches: dict[str, dict[str, str]] = {}
        self.token: str | None = None
        self.statuses: list[int] = []
        self.cut = 0
        self.reset = False
        self.stall: threading.Event | None = None
        self.small = 0
        self.page = 1000
        self.lie: bytes | None = None
        self.expired = 0
        self.whole = False
        self.retry_after: str | None = None
        self.endless = False
        self.more = False
        self.xet = False
        self.sent = 0  # without an end
        self.requests: list[Request] = []
        self.content: list[Request] = []
        self.tokens_sent_away = 0
        self.waits: list[float] = []  # seconds that this process would have waited
        self.next_host: str | None = None  # where the next page of a listing is said to be
        self.uploaded: dict[str, bytes] = {}  # large files by their SHA-256
        self.private: set[str] = set()
        self.read_only = False  # what the token may do
        self.broken_uploads = 0  # how many of the next fail
        self.commits_left = -1  # before commits are refused, if that is not below 0
        self.xet_sent: list[Request] = []  # what hf_xet asked the store and sent it
        self.lock = threading.Lock()
        self.api = Server(self, "hub")
        self.store = Server(self, "store")
        self.url = self.api.url

    def push(self, repo: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Make a commit of these files and return it."""
        text = repr((repo, sorted((k, hashlib.sha1(v).hexdigest()) for k, v in files.items())))
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits.setdefault(repo, {})[commit] = files
        self.branches.setdefault(repo, {})[branch] = commit
        return commit

    def head(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        """Return the files of a branch."""
        return self.commits[repo][self.branches[repo][branch]]

    def close(self) -> None:
        for server in (self.api, self.store):
            server.shutdown()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, url = self.server.hub, urlsplit(self.path)
        if self.server.serve == "store" and url.path.startswith("/v1/"):
            self._xet(hub, url.path.strip("/"), b"")
            return
        if self.server.serve == "store":
            self._content(hub, url.path, url.query)
            return
        with hub.lock:
            hub.requests.append(Request(self.command, unquote(url.path), None, 0))
        given = self.headers.get("Authorization")
        if given and not hub.url.endswith(f"//{self.headers['Host']}"):
            hub.tokens_sent_away += 1
        if hub.token and given != f"Bearer {hub.token}":
            why = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._answer(401, why if given else {"X-Error-Code": "GatedRepo"})
            return
        parts = url.path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"]:
            self._api(hub, [unquote(part) for part in parts[2:]], parse_qs(url.query))
        elif "resolve" in parts[2:4]:  # of a model or a dataset
            at = parts.index("resolve")
            self._resolve(hub, "/".join(parts[at - 2 : at]), [unquote(p) for p in parts[at + 1 :]])
        else:
            self._answer(404, {})

    def _xet(self, hub: FakeHub, path: str, body: bytes) -> None:
        """Take what hf_xet sends, of which nothing is looked at, and keep none of its chunks."""
        with hub.lock:
            hub.tokens_sent_away += "Bearer hub" in str(self.headers.get("Authorization"))
            hub.xet_sent.append(Request(self.command, path, None, len(body)))
        taken = {"v1/xorbs": {"was_inserted": True}, "v1/shards": {"result": 1}}
        answer = next((taken[start] for start in taken if path.startswith(start)), None)
        self._json(answer, status=404 if answer is None else 200)

    def do_PUT(self) -> None:
        """Take a large file, as the store does."""
        hub, content = self.server.hub, self._body()
        with hub.lock:
            hub.tokens_sent_away += "Authorization" in self.headers
            hub.broken_uploads -= (breaks := hub.broken_uploads > 0)
        if breaks:
            self._answer(400, {})
            return
        hub.uploaded[hashlib.sha256(content).hexdigest()] = content
        self._answer(200, {})

    def do_POST(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path).strip("/")
        body = self._body()
        if self.server.serve == "store":
            self._xet(hub, path, body)
            return
        with hub.lock:
            hub.requests.append(Request(self.command, path, None, len(body)))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._answer(401, {})
        elif path == "api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif hub.read_only:
            self._answer(403, {})
        elif path == "api/repos/create":
            self._create(hub, json.loads(body))
        elif path.endswith(".git/info/lfs/objects/batch"):
            wanted = json.loads(body)["objects"]
            self._json({"transfer": "basic", "objects": [
                o if o["oid"] in hub.uploaded
                else {**o, "actions": {"upload": {"href": f"{hub.store.url}/{o['oid']}"}}}
                for o in wanted
            ]})  # fmt: skip
        else:
            _, _, owner, name, what, revision = path.split("/", 5)
            self._write(hub, f"{owner}/{name}", what, revision, body)

    def _create(self, hub: FakeHub, asked: dict[str, Any]) -> None:
        repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if made := repo not in hub.commits:
            hub.push(repo, {".gitattributes": b""})
            hub.private |= {repo} if asked.get("visibility") == "private" else set()
        self._json({"url": f"{hub.url}/datasets/{repo}"}, status=200 if made else 409)

    def _write(self, hub: FakeHub, repo: str, what: str, revision: str, body: bytes) -> None:
        if what == "branch":
            hub.branches[repo][revision] = hub.branches[repo]["main"]
            self._answer(200, {})
            return
        if what == "preupload":
            there = {
                name: (found := entry_of(name, content, 10_000)).get("lfs", found)["oid"]
                for name, content in hub.head(repo, revision).items()
            }
            self._json({"files": [
                {"path": f["path"], "shouldIgnore": False, "oid": there.get(f["path"]),
                 "uploadMode": "lfs" if f["size"] > 10_000 else "regular"}
                for f in json.loads(body)["files"]
            ]})  # fmt: skip
            return
        if hub.commits_left == 0:
            self._answer(400, {"X-Error-Message": "no more commits"})
            return
        hub.commits_left -= 1
        files = dict(hub.head(repo, revision))
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.uploaded[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        commit = hub.push(repo, files, revision)
        self._json({"commitUrl": f"{hub.url}/datasets/{repo}/commit/{commit}", "commitOid": commit})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _files(self, hub: FakeHub, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if repo not in hub.commits:
            self._answer(404, {"X-Error-Code": "RepoNotFound"})
            return None
        commit = hub.branches[repo].get(revision, revision)
        if commit not in hub.commits[repo]:
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit, hub.commits[repo][commit]

    def _api(self, hub: FakeHub, parts: list[str], query: dict[str, list[str]]) -> None:
        repo, (what, revision) = "/".join(parts[:2]), parts[2:4] or ("revision", "main")
        if (found := self._files(hub, repo, revision)) is None:
            return
        commit, files = found
        if what == "xet-write-token":
            soon = int(time.time()) + 3600
            self._json({"accessToken": "store", "exp": soon, "casUrl": hub.store.url})
            return
        if what == "revision":
            self._json({"id": repo, "sha": commit, "tags": [], "siblings": []})
            return
        root = "/".join(parts[4:])
        below = {n: c for n, c in files.items() if not root or n.startswith(f"{root}/")}
        if not below:
            self._answer(404, {"X-Error-Code": "EntryNotFound"})
            return
        deep = query.get("recursive", ["false"])[0].lower() == "true"
        found_entries: dict[str, dict[str, Any]] = {}
        for name, content in sorted(below.items()):
            inside = name.removeprefix(f"{root}/") if root else name
            steps = inside.split("/")
            for depth in range(1, len(steps) if deep else min(2, len(steps))):
                path = "/".join(([root] if root else []) + steps[:depth])
                found_entries[path] = {"type": "directory", "path": path, "oid": "0" * 40}
            if deep or len(steps) == 1:
                found_entries[name] = entry_of(name, content, hub.small)
        entries = list(found_entries.values())
        start = int(query.get("cursor", ["0"])[0])
        more = {}
        if hub.more or start + hub.page < len(entries):
            path = urlsplit(self.path).path
            at = hub.next_host or hub.url
            following = f"{at}{path}?recursive={deep}&cursor={start + hub.page}"
            more = {"Link": f'<{following}>; rel="next"'}
        self._json(entries[start : start + hub.page], more)

    def _resolve(self, hub: FakeHub, repo: str, parts: list[str]) -> None:
        if (found := self._files(hub, repo, parts[0])) is None:
            return
        name, (commit, files) = "/".join(parts[1:]), found
        if name not in files:
            self._answer(404, {"X-Error-Code": "EntryNotFound"})
            return
        sha256 = hashlib.sha256(files[name]).hexdigest()
        self._answer(302, {
            "Location": f"{hub.store.url}/{quote(f'{repo}/{commit}/{name}')}?good={hub.expired}",
            "X-Repo-Commit": commit, "X-Linked-Size": str(len(files[name])),
            "X-Linked-ETag": f'"{sha256}"',
            **({"X-Xet-Hash": sha256, "X-Xet-Refresh-Route": "/none"} if hub.xet else {}),
        })  # fmt: skip

    def _content(self, hub: FakeHub, path: str, query: str) -> None:
        owner, name, commit, file = unquote(path).lstrip("/").split("/", 3)
        content = hub.commits[f"{owner}/{name}"][commit][file]
        if hub.lie is not None:
            content = hub.lie
        wanted = None if hub.whole else self.headers.get("Range")
        with hub.lock:
            hub.tokens_sent_away += "Authorization" in self.headers
            status = hub.statuses.pop(0) if hub.statuses else 0
            cut = not status and hub.cut > 0
            hub.cut -= cut
        if query != f"good={hub.expired}":
            status = 403
        if status:
            self._answer(status, {"Retry-After": hub.retry_after} if hub.retry_after else {})
            return
        first, last = 0, len(content) - 1
        if wanted:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(begin), min(int(end or last), last)
        if wanted and first >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        body = content[first : last + 1]
        with hub.lock:
            hub.content.append(Request(self.command, file, wanted, len(body)))
        self.send_response(206 if wanted else 200)
        if not hub.endless:
            self.send_header("Content-Length", str(len(body)))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        self._send(hub, body, cut)

    def _send(self, hub: FakeHub, body: bytes, cut: bool) -> None:
        while hub.endless:  # until the client goes away
            self.wfile.write(body)
            hub.sent += len(body)
        if cut or hub.stall:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
        if cut:
            if hub.reset:
                self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            self.close_connection = True
            return
        if hub.stall:
            hub.stall.wait()
            body = body[len(body) // 2 :]
        self.wfile.write(body)

    def _json(self, value: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self._answer(status, {"Content-Type": "application/json", **(headers or {})}, value)

    def _answer(self, status: int, headers: dict[str, str], value: Any = None) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, content in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, content)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def entry_of(name: str, content: bytes, small: int) -> dict[str, Any]:
    """Return what a listing says of a file."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if len(content) > small:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return entry
