"""Web servers on this machine: one that serves a file and can be made to misbehave, and a small model hub."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "5" * 40
LARGE = 10_000


@dataclass
class Served:
    """What a server has and does.

    Attributes:
        files: path -> bytes.
        breaks: how many of the next GETs break off in the middle.
        spoils: whether a byte in the middle of every large file is another one.
        sums: whether the right MD5 is said.
        asked: "METHOD path range" of every request.
        url: its address.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    breaks: int = 0
    spoils: bool = False
    sums: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def add_model(self, name: str, folder: Path) -> None:
        """The files of a folder as Hugging Face has those of a model."""
        files = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*")
            if p.is_file()
        }
        self.files |= {f"/{name}/resolve/{COMMIT}/{n}": data for n, data in files.items()}
        info = {
            "id": name,
            "modelId": name,
            "sha": COMMIT,
            "siblings": [{"rfilename": n} for n in files],
        }
        for revision in ("main", "v2"):
            self.files[f"/api/models/{name}/revision/{revision}"] = json.dumps(info).encode()
        self.files[f"/api/models/{name}"] = json.dumps(info).encode()
        tree = [
            {
                "type": "file",
                "path": n,
                "size": len(d),
                "oid": git_sum(d),
                **({"lfs": lfs(d)} if n.endswith(".pth") else {}),
            }
            for n, d in files.items()
        ]
        self.files[f"/api/models/{name}/tree/{COMMIT}"] = json.dumps(tree).encode()


def git_sum(data: bytes) -> str:
    """The name that git has for a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def lfs(data: bytes) -> dict[str, Any]:
    """What the hub says of a large file."""
    return {
        "oid": hashlib.sha256(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "pointerSize": 130,
    }


class Handler(BaseHTTPRequestHandler):
    """Files, with ranges."""

    served: Served
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        served, path = self.served, self.path.partition("?")[0]
        wanted = self.headers.get("Range", "")
        served.asked.append(f"{self.command} {path} {wanted}".strip())
        data = served.files.get(path)
        if data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            return
        begin = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("ETag", f'"{self._tag(path, data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if served.sums:
            self.send_header("Content-MD5", hashlib.md5(data).hexdigest())
        self.end_headers()
        if body:
            self._send(data, begin)

    @staticmethod
    def _tag(path: str, data: bytes) -> str:
        return hashlib.sha256(data).hexdigest() if path.endswith(".pth") else git_sum(data)

    def _send(self, data: bytes, begin: int) -> None:
        if self.served.spoils and len(data) > LARGE:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        left = data[begin:]
        if self.served.breaks > 0 and len(left) > LARGE:
            self.served.breaks -= 1
            self.wfile.write(left[: len(left) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(left)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve while the block runs."""
    handler = type("Bound", (Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
