"""simulate_rooms, beamform and train_masks from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("pyroomacoustics")

from espnet_ext import datadir
from espnet_ext.bin import beamform, simulate_rooms, train_masks
from espnet_ext.bin.command import call

RATE = 8000
QUICK = ["--rt60", "0.05,0.1", "--sources", "1"]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data directory `clean` of two utterances, and `noise`."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    (tmp_path / "clean").mkdir()
    soundfile.write(tmp_path / "noise/a.wav", 0.1 * random.normal(size=RATE), RATE)
    for name, value in (("wav.scp", "{}/{}.wav"), ("text", "ONE"), ("utt2spk", "s")):
        rows = [f"s-{n} {value.format(tmp_path, n)}\n" for n in "ab"]
        (tmp_path / "clean" / name).write_text("".join(rows))
    for n in "ab":
        soundfile.write(tmp_path / f"{n}.wav", 0.1 * random.normal(size=RATE // 2), RATE)
    return tmp_path


def test_from_clean_speech_to_one_channel(places: Path, capsys: pytest.CaptureFixture[str]):
    for job in ("1/2", "2/2"):
        options = ["--noise", "noise", "--snr", "5", *QUICK, "--job", job]
        assert call(simulate_rooms.main, [*options, "clean", "noisy"]) == 0
    assert "noisy: share 2/2 done; complete" in capsys.readouterr().out
    assert set(datadir.read_table(places / "noisy/utt2snr").values()) == {"5.00"}
    assert call(beamform.main, ["noisy", "one"]) == 0
    made = datadir.read_table(places / "one/wav.scp")
    assert {soundfile.info(path).channels for path in made.values()} == {1}
    assert datadir.read_table(places / "one/utt2snr") == datadir.read_table(
        places / "noisy/utt2snr"
    )


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--noise", "nowhere"], 1, "nowhere: found no .wav, .flac"),
        (["--noise", "noise", "--snr", "10,0"], 2, "snr: found 10 to 0"),
        (["--noise", "noise", "--rt60", "1,2,3"], 2, "expected LOW,HIGH"),
        (["--noise", "noise", "--sources", "x"], 2, "expected LOW,HIGH"),
    ],
)
def test_wrong_options_are_told(
    places: Path, capsys: pytest.CaptureFixture[str], options: list[str], status: int, said: str
):
    try:
        found = call(simulate_rooms.main, [*options, "clean", "noisy"])
    except SystemExit as stopped:
        found = stopped.code
    assert found == status and said in capsys.readouterr().err
    assert not (places / "noisy/wav.scp").exists()


def test_masks_are_what_training_starts_from(places: Path, capsys: pytest.CaptureFixture[str]):
    import torch

    from espnet_ext.asr.multichannel.frontend import BeamformingFrontend
    from espnet_ext.train.run import load_initial

    conf = f"{{fs: {RATE}, n_fft: 256, window: 128, hop: 64, mask_width: 5}}"
    front = "frontend: espnet_ext.asr.multichannel.frontend:BeamformingFrontend\n"
    Path("asr.yaml").write_text(f"{front}frontend_conf: {conf}\n")
    options = ["--config", "asr.yaml", "--noise", "noise", "--scenes", "2", "--updates", "3"]
    assert call(train_masks.main, [*options, "clean", "exp/masks.pth"]) == 0
    assert "cross-entropy of a bin" in capsys.readouterr().out
    model = torch.nn.Module()
    model.frontend = BeamformingFrontend(RATE, 256, window=128, hop=64, mask_width=5)
    load_initial(model, ["exp/masks.pth"])
    written = torch.load("exp/masks.pth", weights_only=True)
    assert len(written) == len(model.frontend.masks.state_dict())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in written.items())
    Path("asr.yaml").write_text("encoder: rnn\n")
    assert call(train_masks.main, [*options, "clean", "exp/masks.pth"]) == 1
    assert "frontend: found None, expected espnet_ext.asr" in capsys.readouterr().err
