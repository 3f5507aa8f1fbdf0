"""Recognising and speaking with trained models."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext.datadir import read_table
from espnet_ext.errors import UserError
from espnet_ext.inference.decode import decode_sets, read_options
from espnet_ext.inference.nbest import from_line, to_line
from espnet_ext.inference.perplexity import perplexity
from espnet_ext.inference.speech2text import DecodeOptions, Hypothesis, Speech2Text
from espnet_ext.inference.synthesize import synthesize_sets
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech


@pytest.fixture(scope="module")
def recogniser(tiny):
    return Speech2Text.from_dir(
        tiny.model("asr"),
        lm_dir=tiny.model("lm"),
        options=DecodeOptions(beam_size=3, lm_weight=0.3, nbest=3),
    )


@pytest.fixture(scope="module")
def speaker(tiny):
    return Text2Speech.from_dir(tiny.model("tts"), options=SynthesisOptions(griffin_lim_iters=4))


def test_the_best_first_without_special_tokens(tiny, recogniser):
    samples, _ = soundfile.read(tiny.valid / "wav/valid-00.wav")
    found = recogniser(samples)
    assert len(found) == 3 and found[0].score >= found[1].score >= found[2].score
    assert all(np.isfinite(h.score) and "<sos/eos>" not in h.tokens for h in found)
    assert found[0].text == "".join(t for t in found[0].tokens).replace("<space>", " ")
    assert recogniser(samples) == found


@pytest.mark.parametrize("samples", [0, 1, 100, 128])
def test_too_little_sound_is_nothing(recogniser, samples):
    (found,) = recogniser(np.zeros(samples, dtype=np.float32))
    assert found.text == "" and found.score == float("-inf")


def test_a_search_that_ends_without_a_hypothesis_heard_nothing(recogniser, monkeypatch):
    monkeypatch.setattr(recogniser, "batched", lambda encoded: [[] for _ in encoded])
    monkeypatch.setattr(recogniser.batched, "options", recogniser.options, raising=False)
    (found,) = recogniser(np.zeros(2000, dtype=np.float32))
    assert found.text == "" and from_line(to_line([found])) == [found]


def test_what_is_not_speech_harms_nothing_beside_it(tiny, recogniser):
    samples, _ = soundfile.read(tiny.valid / "wav/valid-00.wav")
    broken = np.where(np.arange(len(samples)) == 500, np.nan, samples)
    silence, clip = np.zeros(6000, dtype=np.float32), samples[:400]
    given = [broken, samples, clip, np.zeros(0), silence, samples[:3000]]
    found = recogniser.many(given)
    assert [h.text for h in [*found[0], *found[3]]] == ["", ""]
    for one, sound in zip(found, given, strict=True):
        expected = recogniser(sound)
        assert [h.tokens for h in one] == [h.tokens for h in expected]
        assert [h.score for h in one] == pytest.approx([h.score for h in expected], abs=1e-3)


def test_stocks_search_finds_the_same(tiny, recogniser):
    options = replace(recogniser.options, search="stock")
    stock = Speech2Text.from_dir(tiny.model("asr"), lm_dir=tiny.model("lm"), options=options)
    assert stock.batched is None and recogniser.batched is not None
    samples, _ = soundfile.read(tiny.valid / "wav/valid-01.wav")
    for ours, theirs in zip(recogniser(samples), stock(samples), strict=True):
        assert ours.tokens == theirs.tokens and ours.score == pytest.approx(theirs.score, abs=1e-3)
    with pytest.raises(UserError, match="search: found 'fast', expected batch or stock"):
        DecodeOptions(search="fast")


def test_a_file_without_phrases_boosts_nothing(tiny, recogniser, tmp_path):
    (tmp_path / "phrases").write_text("\n")
    options = replace(recogniser.options, boost=str(tmp_path / "phrases"))
    boosted = Speech2Text.from_dir(tiny.model("asr"), lm_dir=tiny.model("lm"), options=options)
    samples, _ = soundfile.read(tiny.valid / "wav/valid-01.wav")
    for ours, theirs in zip(boosted(samples), recogniser(samples), strict=True):
        assert ours.tokens == theirs.tokens and ours.score == pytest.approx(theirs.score, abs=1e-3)


def test_lists_come_back_as_they_were():
    found = Hypothesis("a", ("a",), (2,), -1.5, {"decoder": -1.0, "ctc": float("-inf")})
    assert from_line(to_line([found])) == [found]
    with pytest.raises(ValueError, match="found none"):
        from_line("[]")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"beam_size": 0}, "beam_size: found 0, expected a whole number from 1"),
        ({"beam_size": 2.5}, "a whole number"),
        ({"ctc_weight": 1.5}, "ctc_weight: found 1.5, expected a number from 0 to 1"),
        ({"lm_weight": "0,3"}, "lm_weight: found '0,3', expected a number"),
        ({"penalty": float("nan")}, "penalty"),
        ({"normalize_length": "no"}, "expected true or false"),
        ({"nbest": True}, "nbest: found True"),
    ],
)
def test_values_that_are_none(given, said):
    with pytest.raises(UserError, match=said):
        DecodeOptions(**given)


@pytest.mark.parametrize("samples", [129, 300, 900])
def test_little_sound_is_heard(recogniser, samples):
    assert len(recogniser(np.zeros(samples, dtype=np.float32))) >= 1


def test_a_programs_logging_is_left_alone(tiny, recogniser):
    import logging

    before = logging.getLogger().level
    Speech2Text.from_dir(tiny.model("asr"), options=DecodeOptions(lm_weight=0.0))
    assert logging.getLogger().level == before


@pytest.mark.parametrize("jobs", [2, 3])
def test_shares_decode_what_one_job_decodes(tiny, recogniser, tmp_path, jobs):
    decode_sets(recogniser, tiny.valid.parent, ["valid"], tmp_path / "one", 1, 1)
    for job in range(1, jobs + 1):
        decode_sets(recogniser, tiny.valid.parent, ["valid"], tmp_path / "more", job, jobs)
    for table in ("text", "token", "score"):
        whole = read_table(tmp_path / "one/valid" / table, empty=True)
        assert list(whole) == ["valid-00", "valid-01", "valid-02"]
        assert whole == read_table(tmp_path / "more/valid" / table, empty=True)
    assert all(float(value) > 0 for value in read_table(tmp_path / "one/valid/rtf").values())


def test_options_from_a_yaml(tmp_path):
    (tmp_path / "decode.yaml").write_text("beam_size: 7\nctc_weight: 0.25\n")
    assert read_options(tmp_path / "decode.yaml", DecodeOptions) == DecodeOptions(
        beam_size=7, ctc_weight=0.25
    )
    assert read_options(None, DecodeOptions) == DecodeOptions()
    (tmp_path / "decode.yaml").write_text("beamsize: 7\n")
    with pytest.raises(UserError, match="unknown key 'beamsize'; did you mean beam_size"):
        read_options(tmp_path / "decode.yaml", DecodeOptions)


def test_speech_has_the_length_of_its_durations(speaker):
    found = speaker("abca")
    assert found.rate == 8000 and found.mel.shape == (found.durations.sum(), 20)
    assert len(found.durations) == 5 and found.wave.shape == ((len(found.mel) - 1) * 80,)
    assert found.wave.dtype == np.float32 and np.abs(found.wave).max() <= 1
    assert np.array_equal(found.wave, speaker("abca").wave)


def test_slower_is_longer(tiny, speaker):
    slow = Text2Speech.from_dir(
        tiny.model("tts"), options=SynthesisOptions(speed_control_alpha=3.0, griffin_lim_iters=1)
    )
    assert len(slow("abca").mel) > 1.5 * len(speaker("abca").mel)


def test_nothing_to_speak(speaker):
    with pytest.raises(UserError, match="found nothing to speak in ''"):
        speaker("")


def test_the_mel_is_that_of_the_speech(tiny, speaker, tmp_path):
    import kaldiio

    for job in (1, 2):
        synthesize_sets(speaker, tiny.valid.parent, ["valid"], tmp_path, job, 2)
    folder = tmp_path / "valid"
    waves, durations = read_table(folder / "wav.scp"), read_table(folder / "durations")
    feats = kaldiio.load_scp(str(folder / "feats.scp"))
    assert list(waves) == list(durations) == sorted(feats) == ["valid-00", "valid-01", "valid-02"]
    texts = read_table(tiny.valid / "text")
    for utt, path in waves.items():
        expected = speaker(texts[utt])
        samples, rate = soundfile.read(path)
        assert rate == 8000 and np.allclose(samples, expected.wave, atol=1 / 32000)
        assert np.allclose(feats[utt], expected.mel, atol=1e-5)
        assert [int(d) for d in durations[utt].split()] == expected.durations.tolist()


def test_perplexity_is_that_of_each_token(tiny):
    folder = tiny.model("lm")
    weights = folder / "valid.loss.ave.pth"
    found = perplexity(folder / "config.yaml", weights, [tiny.valid / "text"])
    texts = list(read_table(tiny.valid / "text").values())
    assert found["tokens"] == sum(len(t) + 1 for t in texts) and found["words"] == 2 * len(texts)
    from espnet_ext.bridge.load import load_model, text_pipeline

    model, settings = load_model("lm", folder / "config.yaml", weights)
    pipeline, total = text_pipeline(settings), 0.0
    eos = len(pipeline.token_list) - 1
    with torch.no_grad():
        for text in texts:
            ids = pipeline.ids(text)
            logits, _ = model.lm(torch.tensor([[eos, *ids]]), None)
            chosen = logits[0].log_softmax(-1)[range(len(ids) + 1), [*ids, eos]]
            total -= float(chosen.sum())
    assert found["nll"] == pytest.approx(total, rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(total / found["tokens"]), rel=1e-5)


@pytest.mark.parametrize("engine", [Speech2Text, Text2Speech])
def test_a_model_that_is_not_there(tmp_path, engine):
    with pytest.raises(UserError, match="no such file, expected a trained model's config"):
        engine.from_dir(tmp_path)
