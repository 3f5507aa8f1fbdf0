"""A miniature AN4, rendered here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import miniature


@pytest.fixture(scope="session")
def small_an4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AN4 in small, rendered: ten speakers with three utterances each, and one utterance of the test part."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng: run tools/setup.sh")
    return miniature.render(tmp_path_factory.mktemp("an4") / "an4")
