"""A small server that hands a test to listeners and appends what they answer to one CSV.

Each visitor gets the next order of the test. An answer is checked against the key before it is written: whole or not at
all, and once, however often the page sends it.

Behind a reverse proxy every address it gives is relative to the one that the listener has opened, so that scheme, name
and path of the proxy hold. Where the proxy passes its path on, `prefix` says what that is. Addresses of listeners,
forwarded or not, are neither read nor kept.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from espnet_ext.errors import UserError
from espnet_ext.listening.answers import Sheet, as_csv, sheets_of, text_of
from espnet_ext.listening.key import Key
from espnet_ext.listening.page import as_data, read_page

LARGEST = 2_000_000  # bytes of one listener's answers; a long test has some 100,000


def append(path: Path, text: str, key: Key) -> bool:
    """Add one listener's CSV to a file of many, whole or not at all.

    Writers wait for each other (flock), the text is one write and on the disk when this returns; what is cut off by a
    full disk is taken back.

    Args:
        path: the file; made if it is missing.
        text: as the page writes it, with its heading.
        key: of the test.

    Returns:
        whether it was new: a session that the file has already is not added again.

    Raises:
        UserError: answers that do not fit the test, or of a rater whom the file has with another session.
    """
    fresh = _only(key, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        before = text_of(path) if size else ""
        for known in sheets_of(key, before, path) if size else ():
            if known.session == fresh.session:
                return False
            if known.rater == fresh.rater:
                raise UserError(
                    f"found rater {fresh.rater!r}, who has answered before, expected another name"
                )
        if size:  # who edits the file may leave its last line without an end
            text = "\r\n" * (not before.endswith("\n")) + text.removeprefix(as_csv([]))
        _write_whole(file, text.encode(), size)
        return True
    finally:
        os.close(file)


def _write_whole(file: int, data: bytes, size: int) -> None:
    """Append to an open file of `size` bytes, which keeps its size if that fails."""
    try:
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def _only(key: Key, text: str) -> Sheet:
    """The one sheet of a CSV, whose lines can stand below those of others."""
    if not text.startswith(as_csv([])):
        raise UserError(
            "answers: found a CSV with another heading or without the column 'test', expected the page's own"
        )
    sheets = sheets_of(key, text, Path("answers"))
    if len(sheets) != 1 or not text.endswith("\n"):
        raise UserError(f"answers: found {len(sheets)} listeners, expected one, whole")
    return sheets[0]


class _Handler(BaseHTTPRequestHandler):
    """GET / gives the page, POST / takes a CSV."""

    server: _Server

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.rstrip("/") not in ("", self.server.prefix):
            return self._say(404, "Not here.")
        asked = dict(parse_qsl(address.query))
        if "listener" not in asked:
            asked["listener"] = str(self.server.next_listener())
            return self._say(302, "", Location=f"?{urlencode(asked)}")
        return self._say(200, self.server.page, kind="text/html")

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return self._say(411, "The length is missing.")
        if not 0 < length <= LARGEST:
            self.close_connection = True
            return self._say(413, f"Found {length} bytes, expected 1 to {LARGEST}.")
        data = self.rfile.read(length)
        if len(data) < length:
            return self._say(400, f"Found {len(data)} of {length} bytes, expected all.")
        try:
            new = append(self.server.output, data.decode("utf-8"), self.server.key)
        except (UserError, UnicodeDecodeError) as error:
            return self._say(400, str(error))
        except OSError as error:
            self.log_error("%s", error)
            return self._say(500, "The answers could not be stored.")
        return self._say(200, "stored" if new else "stored before")

    def _say(self, status: int, text: str, kind: str = "text/plain", **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        # a page opened from a disk has another origin, and may send as well
        shared = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
        for name, value in {**shared, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: addresses of listeners are nobody's business."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], page: str, key: Key, output: Path, prefix: str
    ) -> None:
        super().__init__(address, _Handler)
        self.page, self.key, self.output, self.prefix = page, key, output, prefix
        self._lock, self._given = threading.Lock(), _answered(key, output)

    def next_listener(self) -> int:
        """Number of the order for the next visitor, from 1 on."""
        with self._lock:
            self._given += 1
            return (self._given - 1) % len(self.key.orders) + 1


def _answered(key: Key, output: Path) -> int:
    """How many listeners a file of answers has."""
    if not output.is_file() or not output.stat().st_size:
        return 0
    return len(sheets_of(key, text_of(output), output))


def collector(page: Path, output: Path, host: str, port: int, prefix: str = "") -> _Server:
    """A server that is ready for `serve_forever`; the page it serves sends answers back to it.

    Args:
        page: that `make` wrote.
        output: the CSV that grows.
        host, port: to listen at.
        prefix: path at which a proxy asks for the page, besides "/".

    Raises:
        UserError: no such page or key, an output of another test, or an address that cannot be had.
    """
    whole, data, key = read_page(page)
    text = whole.replace(f'"collector": {as_data(data["collector"])}', '"collector": "?"', 1)
    try:
        return _Server((host, port), text, key, output, "/" + prefix.strip("/"))
    except OSError as error:
        raise UserError(
            f"{host}:{port}: found {error.strerror or error}, expected a free address: choose another --port"
        ) from None
