"""No test and no docstring example touches the network or hangs upon what ran before it."""

from __future__ import annotations

import gc
import ipaddress
import os
import random
import socket
import sys
from typing import Any

import pytest

NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port: programs that tests start fail at once


def pytest_configure(config: pytest.Config) -> None:
    """Set before anything is imported, and inherited by the programs that tests start."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = NOWHERE
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    if hasattr(os, "register_at_fork"):
        # a runtime that an earlier test left cannot be ended in a child, where its threads are not
        os.register_at_fork(after_in_child=gc.freeze)


class NetworkInTest(RuntimeError):
    """A test tried to reach another machine."""


def allowed(family: int, address: Any) -> bool:
    """Unix sockets and this machine itself."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(host: object) -> NetworkInTest:
    return NetworkInTest(f"a test tried to reach {host}: use small data that the test makes itself")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Any:
    """Connections to other machines, and look-ups of their names, raise NetworkInTest."""
    connect, connect_ex, lookup = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def guarded(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if not allowed(self.family, address):
                raise _refuse(address)
            return original(self, address)

        return call

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if (
            name is not None
            and name != socket.gethostname()
            and not allowed(socket.AF_INET, (name,))
        ):
            raise _refuse(host)
        return lookup(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket, "getaddrinfo", guarded_lookup)
        yield


@pytest.hookimpl(tryfirst=True)  # before a module's fixtures draw, too
def pytest_runtest_setup() -> None:
    """Every test draws the same numbers, whichever tests its process has run before."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: "/tests/recipes/" not in str(item.path))
