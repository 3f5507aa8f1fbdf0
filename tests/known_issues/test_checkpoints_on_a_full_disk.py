"""A full disk ended training with "unexpected pos 768 vs 662"; checkpoints that cannot be read were written over."""

import errno
import io
from contextlib import contextmanager

import pytest
import torch

from espnet_ext.bin.command import call
from espnet_ext.files import atomic_open
from espnet_ext.train import checkpoint


class Full(io.RawIOBase):
    """A file on a disk with room for so many bytes."""

    def __init__(self, stream, room):
        self.stream, self.room = stream, room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.stream.write(data)

    def fileno(self):
        return self.stream.fileno()


@pytest.mark.parametrize("room", [0, 100, 50_000])
def test_a_full_disk_is_said_and_what_there_was_stays(tmp_path, monkeypatch, capsys, room):
    state = {"fingerprint": "x", "step": 1, "weights": torch.rand(30_000)}
    checkpoint.save(tmp_path, state)

    @contextmanager
    def full(path, mode):
        with atomic_open(path, mode) as stream:
            yield Full(stream, room)

    monkeypatch.setattr(checkpoint, "atomic_open", full)
    assert call(lambda argv: checkpoint.save(tmp_path, {**state, "step": 2})) == 1
    said = capsys.readouterr().err
    assert "checkpoint.new.pth: the disk is full" in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]
    assert checkpoint.load(tmp_path, "x")["step"] == 1


def test_checkpoints_that_cannot_be_read_are_kept(tmp_path, caplog):
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        (tmp_path / name).write_bytes(b"of a newer torch")
    (tmp_path / "1epoch.pth").write_bytes(b"weights")
    assert checkpoint.load(tmp_path, "x") is None
    assert "has no checkpoint that can be read: moved to" in caplog.text
    assert len(list((tmp_path / "before-1").iterdir())) == 3
