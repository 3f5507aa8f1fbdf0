"""What a background process said of an utterance came with a traceback, and its end with nothing but one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_ext.errors import UserError
from espnet_ext.train.data import loader
from tests.train.test_loop import Numbers, collate


class Bad(Numbers):
    """Its third utterance is none."""

    what = "audio"

    def __getitem__(self, index):
        if self.ids[index] == "u2" and self.what == "audio":
            raise UserError("utterance u2: no audio, expected some: remove it")
        if self.ids[index] == "u2" and self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_utterance(workers):
    batches, seen = [[0], [1], [3, 2]], []
    with pytest.raises(UserError) as said:
        seen.extend(ids for ids, _ in loader(Bad([0.0] * 4), batches, collate, workers))
    assert str(said.value) == "utterance u2: no audio, expected some: remove it"
    assert seen == [] or seen == [["u0"], ["u1"]]


def test_a_batch(workers=1):
    def refusing(items):
        raise UserError("two shapes")

    with pytest.raises(UserError, match=r"^two shapes$"):
        list(loader(Numbers([0.0]), [[0]], refusing, workers))


def test_a_reader_that_is_killed():
    data = Bad([0.0] * 4)
    data.what = "kill"
    with pytest.raises(UserError, match=r"reads data has ended early .*Lower num_workers"):
        list(loader(data, [[0], [2]], collate, 1))


def test_another_error_keeps_its_traceback():
    with pytest.raises(IndexError, match="Original Traceback"):
        list(loader(Numbers([0.0]), [[0], [5]], collate, 1))


def test_a_program_ends_after_another_error():
    """Python waited for readers that the error's traceback kept, for ever."""
    code = """
from espnet_ext.train.data import loader
class Empty(list):
    def __getitem__(self, index):
        raise IndexError("none")
list(loader(Empty(), [[0]], list, 1))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1 and "IndexError" in ended.stderr
