"""The guard that keeps tests off the network."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 80), ("0.0.0.1", 1)])
def test_other_machines_are_refused(address: tuple[str, int]) -> None:
    with pytest.raises(RuntimeError, match="a test tried to reach"), socket.socket() as sock:
        sock.connect(address)


def test_names_of_other_machines_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)


def test_this_machine_is_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as client,
    ):
        assert client.getpeername() == server.getsockname()


def test_programs_that_tests_start_find_no_network() -> None:
    code = "import urllib.request as u; u.urlopen('http://192.0.2.1/', timeout=5)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "refused" in done.stderr
    assert urllib.request.getproxies()["http"].startswith("http://127.0.0.1")


def test_realdata_is_a_directory(realdata) -> None:
    assert any(realdata.iterdir())
