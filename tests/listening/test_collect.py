"""The collector: real requests to a real server on this machine."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urljoin, urlsplit

import pytest

from espnet_ext.errors import UserError
from espnet_ext.listening.answers import COLUMNS, as_csv, read_answers
from espnet_ext.listening.collect import LARGEST, append, collector
from espnet_ext.listening.key import key_path
from tests.listening.panel import a_test, good, sheet

OPINION = good({"ours": 0.7, "theirs": 0.5, "reference": 0.95}, "mos")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return a_test(tmp_path_factory.mktemp("collect"), "mos")


@contextmanager
def serving(page, output, prefix=""):
    server = collector(page, output, "127.0.0.1", 0, prefix)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield partial(ask, server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(port, method, path, body=None, headers=None):
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def test_many_listeners_at_once(made, tmp_path):
    page, key = made
    output = tmp_path / "answers/all.csv"
    sheets = [as_csv(sheet(key, f"r{n}", n % 6, OPINION)) for n in range(12)]
    with serving(page, output) as request, ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda text: request("POST", "/", text.encode()), [*sheets, *sheets]))
    assert [status for status, _, _ in found] == [200] * 24
    assert sorted(text for _, text, _ in found) == ["stored"] * 12 + ["stored before"] * 12
    assert found[0][2]["Access-Control-Allow-Origin"] == "*"
    assert len(read_answers(key, [output])) == 12
    assert output.read_text().count('"test"') == 1


def test_every_visitor_gets_the_next_order(made, tmp_path):
    page, key = made
    output = tmp_path / "all.csv"
    append(output, as_csv(sheet(key, "early", 0, OPINION)), key)
    with serving(page, output) as request:
        places = [request("GET", "/?PROLIFIC_PID=x%26y")[2]["Location"] for _ in range(7)]
        status, text, headers = request("GET", "/" + places[0])
    numbers = [int(place.rpartition("listener=")[2]) for place in places]
    assert numbers == [2, 3, 4, 5, 6, 1, 2] and "PROLIFIC_PID=x%26y" in places[0]
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert '"collector": "?"' in text and '"collector": ""' in page.read_text()


def test_what_does_not_fit_is_not_stored(made, tmp_path):
    page, key = made
    output = tmp_path / "all.csv"
    good_one = as_csv(sheet(key, "amy", 0, OPINION))
    two = as_csv([*sheet(key, "a", 0, OPINION), *sheet(key, "b", 1, OPINION)])
    with serving(page, output) as request:
        for text, said in (
            (good_one.replace(key.test, "0" * 12), "found answers of the test"),
            (good_one[:-30], "cut off"),
            (two, "found 2 listeners"),
            ("\xff", "without the column"),
        ):
            status, why, _ = request("POST", "/", text.encode("utf-8"))
            assert status == 400 and said in why, why
        assert request("POST", "/", b"\xff\xfe")[0] == 400
        assert request("POST", "/", b"")[0] == 413
        assert request("POST", "/", None, {"Content-Length": str(LARGEST + 1)})[0] == 413
        assert request("GET", "/../../etc/passwd")[0] == 404
        assert not output.exists()
        assert request("POST", "/", good_one.encode())[:2] == (200, "stored")
        again = as_csv(sheet(key, "amy", 1, OPINION, session="another"))
        assert request("POST", "/", again.encode())[0] == 400
    assert output.read_text() == good_one.replace("\r\n", "\n")


def test_what_would_spoil_the_file_for_others_is_not_stored(made, tmp_path):
    """A CSV can be in order by itself and not below the lines of others."""
    _, key = made
    output = tmp_path / "all.csv"
    append(output, as_csv(sheet(key, "amy", 0, OPINION)), key)
    before = output.read_bytes()
    rows = sheet(key, "bob", 1, OPINION)
    turned = [tuple(reversed(row)) for row in (COLUMNS, *rows)]
    wider = [(*row, "x") for row in ((*COLUMNS,), *rows)]
    turk = [("Answer.answers",), (as_csv(rows),)]
    for other in (turned, wider, turk):
        with pytest.raises(UserError, match="found a CSV with another heading"):
            append(output, as_csv(other, head=False), key)
    assert output.read_bytes() == before


def test_an_answer_that_comes_in_half_is_not_stored(made, tmp_path):
    """Its lines may be whole: what is sent again would then count as stored before."""
    page, key = made
    output = tmp_path / "all.csv"
    data = as_csv(sheet(key, "amy", 0, OPINION)).encode()
    half = data[: data.index(b"\n", len(data) // 2) + 1]
    with serving(page, output) as request:
        with socket.create_connection(("127.0.0.1", request.args[0]), 30) as line:
            line.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(data) + half)
            line.shutdown(socket.SHUT_WR)
            assert b" 400 " in line.makefile("rb").readline()
        assert not output.exists()
        assert request("POST", "/", data)[:2] == (200, "stored")


def test_a_file_that_went_through_an_editor_goes_on(made, tmp_path):
    """A byte order mark, or a last line without an end."""
    page, key = made
    output = tmp_path / "all.csv"
    append(output, as_csv(sheet(key, "amy", 0, OPINION)), key)
    output.write_bytes(b"\xef\xbb\xbf" + output.read_bytes().rstrip())
    append(output, as_csv(sheet(key, "bob", 1, OPINION)), key)
    assert [one.rater for one in read_answers(key, [output])] == ["amy", "bob"]
    output.write_bytes(b"\xff" + output.read_bytes())
    with pytest.raises(UserError, match=r"all.csv: found bytes that are not UTF-8"):
        collector(page, output, "127.0.0.1", 0)


def test_a_page_that_sends_elsewhere_sends_here(tmp_path):
    page, _ = a_test(tmp_path, "mos", collector="https://höre.example/<a>?b=c&d")
    server = collector(page, tmp_path / "all.csv", "127.0.0.1", 0)
    server.server_close()
    assert '"collector": "?"' in server.page and "höre" not in server.page


def test_a_full_disk_leaves_the_file_as_it_was(made, tmp_path, monkeypatch):
    import os

    _, key = made
    output = tmp_path / "all.csv"
    append(output, as_csv(sheet(key, "amy", 0, OPINION)), key)
    before, write = output.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:100]))
    with pytest.raises(OSError, match="No space left"):
        append(output, as_csv(sheet(key, "bob", 1, OPINION)), key)
    monkeypatch.undo()
    assert output.read_bytes() == before
    assert append(output, as_csv(sheet(key, "bob", 1, OPINION)), key)


def test_what_it_cannot_start_with(made, tmp_path):
    page, _ = made
    with pytest.raises(UserError, match=r"no.html: found no page"):
        collector(tmp_path / "no.html", tmp_path / "x.csv", "127.0.0.1", 0)
    (tmp_path / "mos.html").write_text(page.read_text())
    with pytest.raises(UserError, match="no such file, expected the key"):
        collector(tmp_path / "mos.html", tmp_path / "x.csv", "127.0.0.1", 0)
    other = a_test(tmp_path / "other", "mos", seed=5)[0]
    (tmp_path / "mos.key.json").write_text(key_path(other).read_text())
    with pytest.raises(UserError, match="put page and key of one test together"):
        collector(tmp_path / "mos.html", tmp_path / "x.csv", "127.0.0.1", 0)
    first = collector(page, tmp_path / "x.csv", "127.0.0.1", 0)
    try:
        with pytest.raises(UserError, match="choose another --port"):
            collector(page, tmp_path / "x.csv", "127.0.0.1", first.server_address[1])
    finally:
        first.server_close()


@pytest.mark.parametrize("opened", ["https://lab.example/hear/", "https://lab.example/hear?who=x"])
@pytest.mark.parametrize("keeps", [True, False])
def test_behind_a_proxy_every_address_stays_below_its_path(made, tmp_path, opened, keeps):
    """Past bug: a listener was sent to the root of the proxy, and the answers as well."""
    page, key = made

    def through(address):
        """What the proxy asks for, its own path kept or taken away."""
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("https", "lab.example")
        assert parts.path.rstrip("/") == "/hear"
        path = parts.path if keeps else parts.path.removeprefix("/hear") or "/"
        return f"{path}?{parts.query}"

    answers = as_csv(sheet(key, "amy", 0, OPINION)).encode()
    forwarded = {"X-Forwarded-For": "192.0.2.77", "X-Forwarded-Proto": "https"}
    with serving(page, tmp_path / "all.csv", "/hear/" if keeps else "") as request:
        status, _, headers = request("GET", through(opened), None, forwarded)
        place = urljoin(opened, headers["Location"])
        assert status == 302 and "listener=1" in place
        status, text, _ = request("GET", through(place), None, forwarded)
        data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
        to = urljoin(place, data["collector"])
        assert status == 200 and data["collector"]
        assert request("POST", through(to), answers, forwarded)[:2] == (200, "stored")
        assert request("GET", "/other/")[0] == 404
    assert "192.0.2.77" not in (tmp_path / "all.csv").read_text()
