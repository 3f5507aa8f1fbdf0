"""The command score_tts."""

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from espnet_ext.bin.command import call
from espnet_ext.bin.score_tts import main

pytest.importorskip("pyworld")
soundfile = pytest.importorskip("soundfile")
RUN = ["--ref", "dump/raw", "--hyp", "exp/tts/decode", "--samples", "50"]


def write(directory, sounds, rate):
    directory.mkdir(parents=True)
    for name, samples in sounds.items():
        soundfile.write(directory / f"{name}.wav", samples, rate)
    lines = (f"{name} {directory / f'{name}.wav'}\n" for name in sorted(sounds))
    (directory / "wav.scp").write_text("".join(lines))


def buzz(rate, f0):
    t = np.arange(rate // 2) / rate
    return 0.1 * sum(np.sin(2 * np.pi * k * f0 * t) / k for k in range(1, 20))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dump/raw/test", {f"u{i}": buzz(24000, 100 + 10 * i) for i in range(3)}, 24000)
    spoken = {f"u{i}": buzz(16000, 110 + 10 * i) for i in range(3)}
    write(tmp_path / "exp/tts/decode/test", spoken, 16000)
    return tmp_path


def test_scores_tables_and_utterances(recipe, capsys):
    assert call(main, RUN) == 0
    printed = capsys.readouterr().out
    assert "|decode/test|3|" in printed and "MCD" in printed
    decode = recipe / "exp/tts/decode"
    assert printed.strip() in (decode / "RESULTS.md").read_text()
    found = json.loads((decode / "scores.json").read_text())["sets"]["test"]
    assert found["sentences"] == 3 and found["missing"] == 0
    assert found["log_f0_rmse"]["mean"] == pytest.approx(0.087, abs=0.02)  # ln(110 / 100) and so on
    low, high = found["mcd"]["interval_95"]
    assert low <= found["mcd"]["mean"] <= high
    lines = (decode / "test/score_tts/utterances.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["utterance", "u0", "u1", "u2"]


def test_durations_of_tokens(recipe, capsys):
    made, real = recipe / "exp/tts/decode/test/durations", recipe / "teacher/test/durations"
    made.write_text("u0 10 10\nu1 10 30\nu2 10 10 10\n")
    real.parent.mkdir(parents=True)
    real.write_text("u0 20 20\nu1 10 10\nu2 1 1\n")
    assert call(main, [*RUN, "--durations", "teacher"]) == 0
    said = capsys.readouterr()
    assert "token dur. err. [%]" in said.out and "1 of 3 utterances have other tokens" in said.err
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())["sets"]["test"]
    assert found["token_duration_error"]["mean"] == pytest.approx((0 + 50) / 2)
    assert found["token_duration_error"]["utterances"] == 2
    assert call(main, [*RUN, "--durations", "nowhere"]) == 1


FRONT = "feats_extract: fbank\nfeats_extract_conf: {fs: 24000, n_fft: 512, hop_length: 128, n_mels: 40}\n"


def test_recordings_and_speech_made_of_their_spectrograms_stand_beside(recipe, capsys):
    (recipe / "exp/tts/config.yaml").write_text(FRONT)
    scp = recipe / "exp/tts/decode/test/wav.scp"
    scp.write_text("".join(scp.read_text().splitlines(keepends=True)[:2]))
    assert call(main, [*RUN, "--model_dir", "exp/tts", "--griffin_lim", "8"]) == 0
    said = capsys.readouterr().out
    assert all(f"|{row}/test|2|" in said for row in ("decode", "recording", "griffin_lim"))
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())
    assert list(found["sets"]) == ["test"]
    best, made = (found["beside"][f"{row}/test"] for row in ("recording", "griffin_lim"))
    own = found["sets"]["test"]
    assert best["mcd"]["mean"] == 0.0 and best["stoi"]["mean"] == 1.0
    assert made["mel_correlation"]["mean"] > own["mel_correlation"]["mean"]
    assert made["duration_error"]["mean"] < 2.0
    # a second time it is not taken for another set
    assert call(main, [*RUN, "--model_dir", "exp/tts", "--griffin_lim", "0"]) == 0
    assert "griffin_lim" not in capsys.readouterr().out


def test_a_synthesiser_of_waveforms_has_no_spectrograms_to_speak(recipe, capsys):
    (recipe / "exp/tts/config.yaml").write_text("feats_extract: linear_spectrogram\n")
    assert call(main, [*RUN, "--model_dir", "exp/tts"]) == 0
    said = capsys.readouterr()
    assert "recordings are not spoken again" in said.err and "|recording/test|" in said.out


class Ears:
    """A recogniser that hears the same in everything."""

    identity, rate = "x", 16000

    def stream(self, sounds, rate):
        return (SimpleNamespace(text="HELLO WORD") for _ in sounds)


def test_a_recogniser_and_a_judge_add_columns(recipe, capsys, monkeypatch):
    from espnet_ext.inference.speech2text import Speech2Text

    (recipe / "exp/tts/config.yaml").write_text("feats_extract: none\n")
    (recipe / "dump/raw/test/text").write_text("u0 hello world\nu1 hello word\nu2 a\n")
    (recipe / "utmos").mkdir()
    (recipe / "utmos/hubconf.py").write_text(
        "import torch\n\ndef utmos22_strong(**options):\n    model = torch.nn.Identity()\n"
        "    model.forward = lambda wave, rate: wave.amax() * 0 + 4\n    return model\n"
    )
    monkeypatch.setattr(Speech2Text, "from_pretrained", lambda *given, **named: Ears())
    more = ["--model_dir", "exp/tts", "--asr", "some", "--utmos", "utmos"]
    assert call(main, [*RUN, *more]) == 0
    assert "UTMOS|CER [%]|WER [%]|" in capsys.readouterr().out
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())
    for part in (found["sets"]["test"], found["beside"]["recording/test"]):
        assert part["wer"]["mean"] == pytest.approx(100 * (1 + 0 + 2) / 5)  # of all words together
        assert part["utmos"]["mean"] == 4.0
    table = (recipe / "exp/tts/decode/test/score_tts/utterances.tsv").read_text().splitlines()
    row = dict(zip(table[0].split("\t"), table[1].split("\t"), strict=True))
    assert (row["wer"], row["words"], row["utmos"]) == ("50.0000", "2.0000", "4.0000")


def test_a_missing_model_is_one_line(recipe, capsys):
    assert call(main, [*RUN, "--dnsmos", "none.onnx"]) == 1
    assert "none.onnx: found no such file" in capsys.readouterr().err


def test_without_texts_a_recogniser_stops_before_the_work(recipe, capsys, monkeypatch):
    from espnet_ext.inference.speech2text import Speech2Text
    from espnet_ext.metrics import tts_report

    monkeypatch.setattr(Speech2Text, "from_pretrained", lambda *given, **named: Ears())
    monkeypatch.setattr(tts_report, "score_files", lambda *pair: pytest.fail("scored"))
    assert call(main, [*RUN, "--asr", "some"]) == 1
    assert "dump/raw/test/text" in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_give_the_same(recipe):
    results = []
    for nj in ("1", "2"):
        assert call(main, [*RUN, "--nj", nj]) == 0
        results.append((recipe / "exp/tts/decode/test/score_tts/utterances.tsv").read_text())
    assert results[0] == results[1]


def test_missing_speech_is_left_out_with_a_warning(recipe, capsys):
    scp = recipe / "exp/tts/decode/test/wav.scp"
    scp.write_text(scp.read_text().splitlines(keepends=True)[1])
    assert call(main, RUN) == 0
    assert "2 of 3 utterances were not synthesised" in capsys.readouterr().err
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())["sets"]["test"]
    assert (found["sentences"], found["missing"]) == (1, 2)


def test_bad_audio_names_the_utterance(recipe, capsys):
    soundfile.write(recipe / "exp/tts/decode/test/u1.wav", np.zeros(100), 16000)
    assert call(main, RUN) == 1
    error = capsys.readouterr().err
    assert "utterance u1" in error and "at least 0.05 s" in error
    assert not (recipe / "exp/tts/decode/scores.json").exists()


def test_results_stay_when_what_stands_beside_them_fails(recipe, capsys):
    """Past bug: they were written after it."""
    (recipe / "exp/tts/config.yaml").write_text(FRONT)
    more = ["--model_dir", "exp/tts", "--griffin_lim", "0", "--vocoder", "nowhere"]
    assert call(main, [*RUN, *more]) == 1
    said = capsys.readouterr()
    assert "|decode/test|3|" in said.out and "nowhere" in said.err
    decode = recipe / "exp/tts/decode"
    assert "|decode/test|3|" in (decode / "RESULTS.md").read_text()
    assert json.loads((decode / "scores.json").read_text())["sets"]["test"]["sentences"] == 3


@pytest.mark.parametrize(("more", "right"), [([], True), (["--language", "en-US"], False)])
def test_numbers_are_compared_in_the_synthesisers_language(recipe, monkeypatch, more, right):
    from espnet_ext.inference.speech2text import Speech2Text

    (recipe / "exp/tts/config.yaml").write_text("feats_extract: none\ng2p: espeak:de\n")
    (recipe / "dump/raw/test/text").write_text("u0 21\nu1 21\nu2 21\n")
    ears = Ears()
    ears.stream = lambda sounds, rate: (SimpleNamespace(text="einundzwanzig") for _ in sounds)
    monkeypatch.setattr(Speech2Text, "from_pretrained", lambda *given, **named: ears)
    assert call(main, [*RUN, "--model_dir", "exp/tts", "--asr", "some", *more]) == 0
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())
    assert (found["sets"]["test"]["wer"]["mean"] == 0.0) is right


SETS = ["--ref", "r", "--hyp", "h"]


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("score_tts", [*SETS, "--samples", "0"]),
        ("score_tts", [*SETS, "--seed", "-1"]),
        ("score_tts", [*SETS, "--griffin_lim", "-3"]),
        ("score_vocoder", [*SETS, "--samples", "0"]),
        ("compare_tts", ["a", "b", "--samples", "0"]),
        ("vocode", ["d", "dev", "--model_dir", "m", "--output_dir", "o", "--griffin_lim", "-3"]),
    ],
)
def test_numbers_that_nothing_can_be_done_with_are_bad_usage(command, given, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"espnet_ext.bin.{command}").main(given)
    assert stopped.value.code == 2
    assert f"{given[-2]}: found '{given[-1]}', expected a whole number" in capsys.readouterr().err


def test_a_failed_utterance_is_seen_in_the_table(recipe, capsys):
    """Silence has no F0 and, past bug, had no PESQ: both means were those of the utterances that went well."""
    pytest.importorskip("pesq")
    soundfile.write(recipe / "exp/tts/decode/test/u1.wav", np.zeros(8000), 16000)
    assert call(main, RUN) == 0
    printed = capsys.readouterr().out
    assert "(2 of 3)" in printed and "test: not known of u1, which the means leave out:" in printed
    found = json.loads((recipe / "exp/tts/decode/scores.json").read_text())["sets"]["test"]
    assert found["pesq"]["utterances"] == 3 and found["f0_deviation"]["utterances"] == 2
