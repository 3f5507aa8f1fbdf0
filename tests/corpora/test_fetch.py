"""Fetching a corpus: resumed, verified, whole or not at all, from a server of our own."""

import errno
import hashlib
import io
import re
import sys
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.prepare_corpus import main
from espnet_ext.corpora import an4, jsut, librispeech, libritts, ljspeech, vctk
from espnet_ext.corpora.fetch import Archive, fetch, obtain, unpack
from espnet_ext.errors import UserError
from espnet_ext.files import locked

LISTS = [f"etc/an4_{p}.{k}" for p in ("train", "test") for k in ("fileids", "transcription")]


def archive(names, prefix="an4/"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(prefix + name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
    return out.getvalue()


def checksum_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def server():
    """A file server; `breaks` is how many answers stop after half of what they announce."""

    class Handler(BaseHTTPRequestHandler):
        data, breaks, ranges, asked, stops, slow = b"", 0, True, [], False, False

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
            if Handler.stops:
                return
            if Handler.slow:
                self.wfile.write(rest[:100])
                time.sleep(0.2)  # others come meanwhile
                rest = rest[100:]
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


def together(threads, do):
    """What each of some threads that do the same at once brought."""
    with ThreadPoolExecutor(threads) as pool:
        return [found.result() for found in [pool.submit(do) for _ in range(threads)]]


def test_of_several_who_want_the_same_file_one_fetches_it(tmp_path, server):
    server.data, server.slow = bytes(range(256)) * 400, True
    together(4, lambda: fetch(server.url, tmp_path / "a", checksum_of(server.data), tries=1))
    assert (tmp_path / "a").read_bytes() == server.data and server.asked == [None]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_of_several_who_want_the_same_corpus_one_unpacks_it(tmp_path, server):
    server.data = archive([f"wav/{i}" for i in range(30)])
    server.slow = True
    together(4, lambda: obtain(Archive(server.url, "an4"), tmp_path / "deep/an4"))
    assert len(list((tmp_path / "deep/an4/wav").iterdir())) == 30 and server.asked == [None]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["an4"]


def test_a_lock_that_goes_is_held_by_one_at_a_time(tmp_path):
    inside, most = [], []

    def hold():
        for _ in range(50):
            with locked(tmp_path / "lock", passing=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    together(4, hold)
    assert max(most) == 1 and len(most) == 200 and list(tmp_path.iterdir()) == []


def test_who_waits_is_told_for_what(tmp_path, monkeypatch):
    inside, told = threading.Event(), threading.Event()

    class Screen(io.StringIO):
        def flush(self):
            told.set()

    def hold():
        with locked(tmp_path / "lock"):
            inside.set()
            told.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(60)
    monkeypatch.setattr(sys, "stderr", Screen())
    with locked(tmp_path / "lock", waiting="wait for the corpus"):  # which the holder leaves then
        assert told.is_set() and sys.stderr.getvalue() == "wait for the corpus\n"
    holder.join()


def test_a_disk_without_locks_and_a_lock_of_somebody_else(tmp_path, monkeypatch):
    def none(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    monkeypatch.setattr(Path, "unlink", Mock(side_effect=PermissionError))
    with locked(tmp_path / "lock", passing=True):
        assert (tmp_path / "lock").exists()
    monkeypatch.setattr("fcntl.flock", Mock(side_effect=OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"), locked(tmp_path / "lock"):
        pass


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


# -- archives of corpora --------------------------------------------------------------------------


def zipped(names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(name, b"text" * 500)
    return out.getvalue()


def checksum(data, kind="md5"):
    return f"{kind}:{hashlib.new(kind, data).hexdigest()}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("espnet_ext.corpora.fetch.PAUSE", 0.0)


@pytest.mark.parametrize("breaks", [1, 3, 9])
def test_breaks_are_mended_as_long_as_something_comes(tmp_path, server, breaks):
    server.data, server.breaks = bytes(range(256)) * 40, breaks
    fetch(server.url, tmp_path / "a", checksum(server.data, "sha256"))
    assert (tmp_path / "a").read_bytes() == server.data
    assert len(server.asked) == breaks + 1


def test_a_server_that_sends_nothing_more_ends_it(tmp_path, server):
    server.data, server.stops = bytes(range(256)) * 40, True
    (tmp_path / "a.part").write_bytes(server.data[:100])
    with pytest.raises(UserError, match="kept and continued"):
        fetch(server.url, tmp_path / "a", tries=3)
    assert len(server.asked) == 3 and (tmp_path / "a.part").stat().st_size == 100


def test_another_file_than_published_is_removed(tmp_path, server):
    server.data = b"x" * 5000
    with pytest.raises(
        UserError, match=r"found md5 [0-9a-f]{32}, expected 0123: the file was damaged"
    ):
        fetch(server.url, tmp_path / "a", "md5:0123")
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_file_is_found_out_and_fetched_anew(tmp_path, server):
    server.data = bytes(range(256)) * 40
    (tmp_path / "a.part").write_bytes(b"y" * 3000)
    with pytest.raises(UserError, match="run it again"):
        fetch(server.url, tmp_path / "a", checksum(server.data))
    fetch(server.url, tmp_path / "a", checksum(server.data))
    assert (tmp_path / "a").read_bytes() == server.data


def test_a_disk_that_is_too_small_is_told_before(tmp_path, server, monkeypatch):
    server.data = b"x" * 5000
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4000}))
    with pytest.raises(UserError, match="name a larger disk"):
        fetch(server.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_obtain_fetches_verifies_unpacks_and_tidies_up(tmp_path, server, kind):
    names = ["Corpus/part/a.txt", "Corpus/LIST.TXT"]
    server.data = zipped(names) if kind == "zip" else archive(names, "")
    wanted = Archive(
        server.url, "Corpus/part", checksum(server.data), ("a.txt",), ("LIST.TXT", "NONE.TXT")
    )
    for _ in range(2):
        obtain(wanted, tmp_path / "mine/part")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        *("mine", "mine/LIST.TXT", "mine/part", "mine/part/a.txt"),
    ]
    assert len(server.asked) == 1


def test_a_zip_of_loose_files_becomes_a_directory(tmp_path, server):
    server.data = zipped(["speaker-info.txt", "txt/p1/a.txt"])
    obtain(Archive(server.url, "", witnesses=("speaker-info.txt",)), tmp_path / "VCTK")
    assert (tmp_path / "VCTK/txt/p1/a.txt").is_file()


def test_a_flipped_bit_in_a_zip_is_found_without_a_checksum(tmp_path, server):
    whole = bytearray(zipped(["c/a", "c/b"]))
    whole[40] ^= 255
    server.data = bytes(whole)
    with pytest.raises(UserError, match="found a damaged archive"):
        obtain(Archive(server.url, "c"), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_zip_members_that_lead_outside_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(["../evil"]))
    with pytest.raises(UserError, match="leads outside"):
        unpack(tmp_path / "a.zip", "", tmp_path / "c", ())
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_librispeech_fetches_the_parts_that_are_asked_for(tmp_path, server, monkeypatch):
    server.data = archive(["dev-clean/1/2/1-2.trans.txt", "SPEAKERS.TXT"], "LibriSpeech/")
    parts = {"dev-clean": (1, checksum(server.data)[4:]), "test-clean": (1, "")}
    monkeypatch.setattr(librispeech, "PARTS", parts)
    monkeypatch.setattr(librispeech, "URL", server.url.rpartition("/")[0])
    librispeech.download(tmp_path, sets="dev=dev-clean")
    assert (tmp_path / "LibriSpeech/SPEAKERS.TXT").is_file()
    assert [p.name for p in (tmp_path / "LibriSpeech").iterdir() if p.is_dir()] == ["dev-clean"]
    with pytest.raises(UserError, match="--sets: found 'x', expected some of dev-clean"):
        librispeech.download(tmp_path, sets="dev=x")


@pytest.mark.parametrize(
    ("module", "name", "member"),
    [(ljspeech, "LJSpeech-1.1", "metadata.csv"), (jsut, "jsut_ver1.1", jsut.WITNESS)],
)
def test_single_archives(tmp_path, server, monkeypatch, module, name, member):
    server.data = archive([member], f"{name}/")
    monkeypatch.setattr(module, "ARCHIVE", Archive(server.url, name, "", (member,)))
    module.download(tmp_path / "downloads")
    module.download(tmp_path / "downloads" / name)
    assert (tmp_path / "downloads" / name / member).is_file() and len(server.asked) == 1


@pytest.mark.parametrize("place", ["LibriSpeech/dev-clean.tar.gz", "dev-clean.tar.gz"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_archive_that_is_there_already_is_used(tmp_path, server, place, whole):
    """Whole: nothing is fetched. Damaged: it is told, and left to whoever put it there."""
    server.data = archive(["a.flac"], "LibriSpeech/dev-clean/")
    mine = tmp_path / place
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(server.data if whole else server.data[:-9])
    before = mine.read_bytes()
    url = server.url.rpartition("/")[0] + "/dev-clean.tar.gz"
    given = Archive(url, "LibriSpeech/dev-clean", checksum(server.data))
    obtain(given, tmp_path / "LibriSpeech/dev-clean")
    assert (tmp_path / "LibriSpeech/dev-clean/a.flac").is_file()
    assert len(server.asked) == (0 if whole else 1)
    assert mine.read_bytes() == before
    assert not [p for p in tmp_path.rglob(".*") if p.is_symlink()]


def test_vctk_and_libritts_know_their_versions(tmp_path, server, monkeypatch):
    server.data = zipped(["speaker-info.txt"])
    monkeypatch.setitem(vctk.ARCHIVES, "0.92", Archive(server.url, ""))
    monkeypatch.setitem(vctk.ARCHIVES, "0.80", Archive(server.url, ""))
    for version in ("", "", "0.92"):  # the first is the one that is fetched
        vctk.download(tmp_path, version=version)
    assert [p.name for p in tmp_path.iterdir()] == ["VCTK-Corpus-0.92"]
    for folder in ("VCTK-Corpus-0.92/wav48_silence_trimmed", "VCTK-Corpus/wav48"):
        vctk.download(tmp_path, version="0.80")  # another version that is there is none of this
        (tmp_path / folder).mkdir(exist_ok=True)
    assert len(server.asked) == 2 and (tmp_path / "VCTK-Corpus").is_dir()
    with pytest.raises(UserError, match=r"--version: found '1', expected 0.92 or 0.80"):
        vctk.download(tmp_path, version="1")
    with pytest.raises(UserError, match="--edition: found 'x', expected libritts or libritts_r"):
        libritts.download(tmp_path, edition="x")


def test_options_of_the_command_reach_the_download(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(librispeech, "download", lambda corpus, *, sets="": asked.update(sets=sets))
    arguments = [
        "librispeech",
        str(tmp_path),
        str(tmp_path / "d"),
        "--download",
        "--sets",
        "a=dev-clean",
    ]
    assert call(main, arguments) == 1  # nothing was fetched
    assert asked == {"sets": "a=dev-clean"}


def test_a_corpus_is_fetched_below_the_recipe_alone(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(jsut, "download", asked.append)
    for place in ("", "elsewhere", "downloads"):
        assert call(main, ["jsut", place, str(tmp_path), "--download_to", "downloads"]) == 1
    assert asked == ["downloads"]


@pytest.mark.parametrize("module", [librispeech, libritts])
def test_checksums_are_checksums(module):
    digests = [d for row in module.PARTS.values() for d in row if isinstance(d, str)]
    assert len(digests) >= 7 and len(set(digests)) == len(digests)
    assert all(re.fullmatch("[0-9a-f]{32}", digest) for digest in digests)
