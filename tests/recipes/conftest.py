"""Checkouts that run the real recipes, and a miniature AN4 rendered here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import miniature
from tests.recipes.checkout import Checkout


@pytest.fixture(scope="session")
def new_checkout(tmp_path_factory: pytest.TempPathFactory):
    """Makes checkouts."""

    def make(name: str = "checkout") -> Checkout:
        return Checkout(tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(scope="session")
def checkout(new_checkout) -> Checkout:
    """One checkout for all tests that leave no marks in the recipes they do not own."""
    return new_checkout()


@pytest.fixture(scope="session")
def small_an4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AN4 in small, rendered: 16 speakers with an utterance each, one of them in the test part."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng: run tools/setup.sh")
    return miniature.render(tmp_path_factory.mktemp("an4") / "an4")
