"""Writing audio."""

import numpy as np
import pytest
import soundfile

from espnet_ext.audio.write import write, write_bytes


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read(tmp_path, suffix, channels):
    samples = np.random.default_rng(0).integers(-32768, 32767, (1000, channels), np.int16)
    path = tmp_path / "some" / "where" / f"a.{suffix}"
    write(path, samples, 22050)
    found, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == 22050 and (found == samples).all()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file_and_names_it(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError) as caught:
        write_bytes(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
