"""What tests of several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Directory of small pieces of real corpora (ESPNET_EXT_REALDATA); the test is skipped where it is absent."""
    path = Path(os.environ.get("ESPNET_EXT_REALDATA") or ROOT.parent / "shared/realdata")
    if not path.is_dir():
        pytest.skip(f"no real recordings: {path} is not there; set ESPNET_EXT_REALDATA")
    return path
