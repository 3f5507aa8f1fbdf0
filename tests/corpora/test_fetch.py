"""Fetching a corpus: resumed, verified, whole or not at all, from a server of our own."""

import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from espnet_ext.corpora import an4
from espnet_ext.corpora.fetch import fetch, unpack
from espnet_ext.errors import UserError

LISTS = [f"etc/an4_{p}.{k}" for p in ("train", "test") for k in ("fileids", "transcription")]


def archive(names, prefix="an4/"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(prefix + name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
    return out.getvalue()


@pytest.fixture
def server():
    """A file server; `breaks` is how many answers stop after half of what they announce."""

    class Handler(BaseHTTPRequestHandler):
        data, breaks, ranges, asked = b"", 0, True, []

        def do_GET(self):
            wanted = self.headers.get("Range")
            Handler.asked.append(wanted)
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and Handler.ranges else 0
            if start and start >= len(Handler.data):
                self.send_error(416)
                return
            rest = Handler.data[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            if Handler.breaks:
                Handler.breaks -= 1
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    Handler.url, Handler.asked = f"http://127.0.0.1:{httpd.server_port}/a.tar.gz", []
    yield Handler
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_fetch_goes_on_where_it_stopped(tmp_path, server, ranges):
    server.data, server.breaks, server.ranges = bytes(range(256)) * 40, 1, ranges
    path = tmp_path / "a"
    with pytest.raises(UserError, match="kept and continued"):
        fetch(server.url, path, tries=1)
    assert not path.exists()
    fetch(server.url, path)
    assert path.read_bytes() == server.data
    assert server.asked == [None, "bytes=5120-"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_whole_part_only_gets_its_name(tmp_path, server):
    server.data = b"x" * 100
    (tmp_path / "a.part").write_bytes(server.data)
    fetch(server.url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == server.data


def test_nobody_there(tmp_path):
    with pytest.raises(UserError, match="check the network"):
        fetch("http://127.0.0.1:9/a", tmp_path / "a", timeout=2)
    assert list(tmp_path.iterdir()) == []


def test_unpack_whole_or_not_at_all(tmp_path):
    tar = tmp_path / "a.tar.gz"
    tar.write_bytes(archive(["etc/one", "wav/two"]))
    unpack(tar, "an4", tmp_path / "an4", ("etc/one",))
    assert (tmp_path / "an4/wav/two").read_bytes() == b"text"
    with pytest.raises(UserError, match="found no etc/three"):
        unpack(tar, "an4", tmp_path / "other", ("etc/three",))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "an4"]


def test_a_damaged_archive_is_removed(tmp_path):
    tar = tmp_path / "a.tar.gz"
    tar.write_bytes(archive([f"wav/{i}" for i in range(50)])[:-60])
    with pytest.raises(UserError, match="found a damaged archive"):
        unpack(tar, "an4", tmp_path / "an4", ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prefix", ["../", "/tmp/", "an4/../../"])
def test_members_that_lead_outside_are_refused(tmp_path, prefix):
    tar = tmp_path / "in/a.tar.gz"
    tar.parent.mkdir()
    tar.write_bytes(archive(["evil"], prefix))
    with pytest.raises(UserError, match="leads outside"):
        unpack(tar, "an4", tmp_path / "in/an4", ())
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.tar.gz"]


def test_an4_is_fetched_once(tmp_path, server, monkeypatch):
    server.data = archive(LISTS)
    monkeypatch.setattr(an4, "URL", server.url)
    for given in ("downloads", "downloads/an4", "downloads"):
        an4.download(tmp_path / given)
    assert len(server.asked) == 1
    assert (tmp_path / "downloads/an4/etc/an4_test.fileids").is_file()


def test_an4_that_cannot_be_fetched_names_the_variable(tmp_path, monkeypatch):
    monkeypatch.setattr(an4, "URL", "http://127.0.0.1:9/an4.tar.gz")
    with pytest.raises(UserError, match=r"set AN4=/path/to/an4 in local/db\.sh"):
        an4.download(tmp_path / "an4")
