"""Synthesis: batches, long texts, streams, and texts that nobody expects."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_ext.bridge.imports import espnet2
from espnet_ext.errors import UserError
from espnet_ext.inference.speaking import can_batch
from espnet_ext.inference.speech import joined
from espnet_ext.inference.synthesize import synthesize_sets
from espnet_ext.inference.text2speech import Text2Speech
from espnet_ext.inference.voices import as_conditions
from tests.inference.small_voices import KINDS, OPTIONS, train, voice

WORDS = "the quick brown fox, jumps over a lazy dog. "


@pytest.fixture(scope="module")
def speakers(tmp_path_factory):
    """One of each kind."""
    root = tmp_path_factory.mktemp("voices")
    return {kind: voice(root / kind, kind) for kind in KINDS}


@pytest.fixture(params=list(KINDS))
def speaker(request, speakers):
    return speakers[request.param]


def heard(speech):
    """Something is said: numbers, not silence, within range."""
    assert np.isfinite(speech.wave).all() and np.abs(speech.wave).max() <= 1
    assert len(speech.wave) > 0 and speech.wave.std() > 1e-5
    return speech


def same(one, other):
    assert one.durations.tolist() == other.durations.tolist()
    assert one.mel.shape == other.mel.shape and np.abs(one.mel - other.mel).max() <= 1e-4
    assert one.wave.shape == other.wave.shape and one.rate == other.rate


# -- many ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(st.text("abcdefg ", min_size=1, max_size=30).map(lambda t: "a" + t), min_size=1),
    size=st.integers(1, 5),
)
def test_a_batch_is_what_each_is_alone(speakers, kind, texts, size):
    speaker = speakers[kind]
    assert can_batch(speaker.model.tts)
    for text, found in zip(texts, speaker.many(texts, batch_size=size), strict=True):
        same(found, speaker(text))


@pytest.mark.parametrize("scale", [0.0, 0.3, 2.0])
def test_a_batch_draws_as_far_as_the_options_say(tmp_path, scale):
    options = replace(OPTIONS, noise_scale=scale, noise_scale_dur=scale)
    speaker = voice(tmp_path, "flow", options, duration={"kind": "flow"})
    texts = ["abc abc", "a", "a long one, and"]
    found = speaker.many(texts)
    for text, one in zip(texts, found, strict=True):
        same(one, speaker(text))
    speaker.options = replace(options, noise_scale=scale + 1)
    other = speaker.many(texts)
    assert np.abs(found[0].mel - other[0].mel).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_voices_and_controls_in_a_batch(tmp_path, kind):
    speaker = voice(
        tmp_path, kind, replace(OPTIONS, speed_control_alpha=1.7), spks=4, spk_embed_dim=3
    )
    voices = [
        {"sids": torch.tensor([n]), "spembs": torch.tensor([0.5 - n, 1.0, n])} for n in (3, 0, 2)
    ]
    texts = ["abc", "a long one, and", "abc"]
    found = speaker.many(texts, voices)
    for text, who, one in zip(texts, voices, found, strict=True):
        same(one, speaker(text, **who))
    assert np.abs(found[0].mel[:5] - found[2].mel[:5]).max() > 1e-3


def test_a_batch_of_some_with_a_voice_and_some_without(tmp_path):
    """Those without are spoken by the voice that an adapted model began with."""
    speaker = voice(tmp_path, "acoustic", adapters={"width": 4})
    with torch.no_grad():
        speaker.model.tts.adapters.own.normal_(0, 3)
    who = [{"sids": 1}, {}, {"sids": 1}, {"sids": 0}]
    texts = ["abc", "abc", "ab", "abc"]
    found = speaker.many(texts, who)
    for text, given_, one in zip(texts, who, found, strict=True):
        same(one, speaker(text, **given_))
    new, old = (one.mel[: min(len(f.mel) for f in found[:2])] for one in found[:2])
    assert np.abs(new - old).max() > 1e-3


def test_what_cannot_be_batched_goes_one_by_one(speakers):
    stock = espnet2("tts.fastspeech2").FastSpeech2(9, 4, adim=8, eunits=8, dunits=8)
    assert not can_batch(stock)
    marked = "<speak>abc</speak>"
    found = speakers["aligned"].many([marked, "abc", marked])
    assert [len(f.wave) for f in found] == [len(found[1].wave)] * 3


def test_texts_of_several_sentences_in_a_batch(speakers):
    speaker = speakers["aligned"]
    few = Text2Speech(*speaker.files, options=replace(OPTIONS, longest=20))
    texts = [WORDS * 2, "abc", "one. " * 12]
    for one, text in zip(few.many(texts, batch_size=4), texts, strict=True):
        assert one.wave.shape == few(text).wave.shape
    with pytest.raises(UserError, match=r"nothing to speak in '\.\.\. '"):
        few.many(["abc", "... "])


def test_a_batch_takes_the_style_of_each_recording(tmp_path):
    speaker = voice(tmp_path, "acoustic", use_gst=True)
    noise = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    who = [{"speech": 0.001 * noise}, {"speech": torch.from_numpy(0.3 * noise[:2500])}]
    texts = ["abc", "a long one, and"]
    with torch.no_grad():
        speaker.model.tts.voices.style.tokens *= 20
    found = speaker.many(texts, who)
    for text, given_, one in zip(texts, who, found, strict=True):
        same(one, speaker(text, **given_))
    other = speaker.many(texts, who[::-1])
    assert np.abs(found[0].mel[:3] - other[0].mel[:3]).max() > 1e-3
    for speak in (speaker, lambda t: speaker.many([t])):
        with pytest.raises(UserError, match="found no recording, expected one whose style"):
            speak("abc")


def test_the_style_of_a_recording_for_sets_and_as_a_voice(tmp_path):
    import soundfile

    folder, noise = train(tmp_path / "exp", "acoustic", use_gst=True), np.random.default_rng(0)
    data = tmp_path / "data/set"
    data.mkdir(parents=True)
    files = {utt: data / f"{utt}.wav" for utt in ("u1", "u2")}
    for loud, file in zip((0.01, 0.5), files.values(), strict=True):
        soundfile.write(file, loud * noise.uniform(-1, 1, 8000), 16000)  # not the model's rate
    (data / "wav.scp").write_text("".join(f"{utt} {file}\n" for utt, file in files.items()))
    (data / "text").write_text("u1 abc\nu2 <speak>abc</speak>\n")
    speaker = Text2Speech.from_dir(folder, options=OPTIONS)
    synthesize_sets(speaker, tmp_path / "data", ["set"], tmp_path / "out", 1, 1)
    for utt, file in files.items():
        voice_ = Text2Speech.from_pretrained(folder, voice=file, options=OPTIONS)
        found = soundfile.read(tmp_path / f"out/set/wav/{utt}.wav")[0]
        assert np.allclose(found, voice_("abc").wave, atol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_model_without_speed_is_slowed_in_the_waveform(speakers, factor, monkeypatch):
    """As stock ESPnet's JETS, Tacotron 2 and Transformer; the pitch stays."""
    speaker = Text2Speech(*speakers["aligned"].files, options=OPTIONS)
    plain, inference = speakers["aligned"]("abc def"), speaker.model.tts.inference
    monkeypatch.setattr(
        speaker.model.tts,
        "inference",
        lambda text, use_teacher_forcing=False: inference(text),
    )
    assert not speaker.has_speed
    speaker.options = replace(OPTIONS, speed_control_alpha=factor)
    found = heard(speaker("abc def"))
    assert len(found.wave) == round(factor * len(plain.wave))
    assert found.durations is None and found.mel is None  # they are those of the other speed
    speaker.options = OPTIONS
    marked = speaker(f'<speak><prosody rate="{1 / factor}">abc def</prosody></speak>')
    assert len(marked.wave) == len(found.wave)


# -- long texts and streams ------------------------------------------------------------------------------------------


def test_ten_thousand_characters_are_spoken(speaker):
    text = (WORDS * 250)[:10_000]  # 228 sentences
    found = heard(speaker(text))
    sentence = speaker(WORDS)
    assert len(found.wave) > 200 * len(sentence.wave)
    pause = round(OPTIONS.pause * speaker.rate)
    quiet = np.flatnonzero(np.diff(np.flatnonzero(found.wave != 0)) > pause)
    assert len(quiet) >= 220
    assert found.mel is None and found.durations is None


def test_a_word_longer_than_the_context(tmp_path):
    speaker = voice(tmp_path, "acoustic", longest=100)
    found = heard(speaker("ab" * 100))
    assert len(found.wave) > 100 * 80
    sentence = "so many words that it does not fit " * 4
    heard(speaker(sentence))


def test_speech_longer_than_the_context_of_frames(tmp_path):
    """The tokens fit, what is made of them does not."""
    speaker = voice(tmp_path, "acoustic", replace(OPTIONS, speed_control_alpha=4.0), longest=100)
    text = "not short, not long"
    found, parts = heard(speaker(text)), list(speaker.stream(text))
    assert len(parts) > 1 and np.array_equal(found.wave[: len(parts[0].wave)], parts[0].wave)
    assert len(speaker.many([text, "a"])[0].wave) == len(found.wave)
    one = voice(
        tmp_path / "one", "acoustic", replace(OPTIONS, speed_control_alpha=20.0), longest=20
    )
    with pytest.raises(UserError, match="expected at most 20"):
        one("a")


def test_a_stream_speaks_its_first_phrase_before_it_reads_the_others(speakers, monkeypatch):
    speaker, spoken = speakers["aligned"], []
    plain = Text2Speech.speak

    def watched(self, ids, text, *more, **options):
        spoken.append(text)
        return plain(self, ids, text, *more, **options)

    monkeypatch.setattr(Text2Speech, "speak", watched)
    stream = speaker.stream("when the sun had gone down, they went home. all slept. " + WORDS * 50)
    first = heard(next(stream))
    assert spoken == ["when the sun had gone down, "]
    second = heard(next(stream))
    assert spoken[1:] == ["they went home. "]
    assert not second.wave[: round(0.5 * OPTIONS.pause * speaker.rate)].any()
    whole = joined([first, second, *stream])
    assert len(spoken) == 3 + 50 and len(whole.wave) > 50 * len(first.wave) / 2


def test_a_stream_of_ssml_comes_piece_by_piece(speakers):
    speaker = speakers["aligned"]
    text = '<speak>ab<break time="1s"/>c</speak>'
    first, second = speaker.stream(text)
    assert first.wave.any() and not second.wave[:8000].any()
    assert np.array_equal(joined([first, second]).wave, speaker(text).wave)


def test_a_stream_need_not_begin_with_a_short_phrase(speakers):
    text = "when the sun had gone down, they went home. all slept."
    assert [len(list(speakers["aligned"].stream(text, soon=s))) for s in (True, False)] == [3, 2]


# -- what nobody expects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", "?!—", "😀👩‍👧", "你好。", "\x00"])
def test_nothing_to_speak_is_said(speaker, text):
    for speak in (speaker, lambda t: list(speaker.stream(t)), lambda t: speaker.many([t])):
        with pytest.raises(UserError, match=r"found nothing to speak in .*give at least one word"):
            speak(text)


def test_what_the_model_has_no_tokens_for_is_left_out(speaker, caplog):
    with caplog.at_level(logging.WARNING):
        found = heard(speaker("a😀b é, привет"))
    assert "left out" in caplog.text and "'😀'" in caplog.text
    plain = speaker("ab ,")
    assert len(found.durations) >= len(plain.durations)
    assert len(speaker.many(["a😀b"])[0].wave) == len(speaker("ab").wave)


def test_what_is_known_of_tokens_reaches_the_model(tmp_path):
    """Boundaries and marks of emphasis, which it was trained with, in plain text and SSML alike."""
    encoder = {"blocks": 1, "inner": 16, "kernel": 3, "prosody": "boundary emphasis"}
    speaker = voice(tmp_path, "acoustic", encoder=encoder)
    inference, given_ = speaker.model.tts.inference, []
    speaker.model.tts.inference = lambda text, **more: (
        given_.append(text),
        inference(text, **more),
    )[1]
    text = "ab *cd*, ef"
    for said in (text, f"<speak>{text}</speak>", f"é{text}"):
        speaker(said)
    assert [found.tolist() for found in given_] == [speaker.pipeline.ids(text)] * 3
    assert given_[0].max() >= len(speaker.pipeline)


@given(st.text(max_size=60))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_spoken_or_refused(speakers, text):
    try:
        heard(speakers["aligned"](text))
    except UserError as error:
        assert "found" in str(error)


@pytest.mark.parametrize("kind", list(KINDS))
def test_unknown_voices_are_named(tmp_path, kind):
    speaker = voice(tmp_path, kind, spks=3)
    heard(speaker("abc", sids=torch.tensor([2])))
    for given_ in ({}, {"sids": torch.tensor([3])}, {"sids": torch.tensor([-1])}):
        with pytest.raises(UserError, match=r"sids: found .* expected numbers from 0 to 2"):
            speaker("abc", **given_)
        with pytest.raises(UserError, match=r"sids: found .* expected numbers from 0 to 2"):
            speaker.many(["abc"], [given_])


def test_voices_need_be_no_tensors(tmp_path):
    speaker = voice(tmp_path, "acoustic", spks=3, spk_embed_dim=2)
    tensors = {"sids": torch.tensor([2]), "spembs": torch.tensor([1.0, 2.0])}
    found = speaker("abc", sids=2, spembs=[1, 2])
    assert np.array_equal(found.wave, speaker("abc", **tensors).wave)
    same(speaker.many(["abc"], [{"sids": np.int64(2), "spembs": np.array([[1.0, 2.0]])}])[0], found)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"sids": 3}, "sids: found 3, expected numbers from 0 to 2"),
        ({"sids": "two"}, "sids: found two, expected a whole number"),
        ({"sids": 1.5}, "sids: found 1.5, expected a whole number"),
        ({"sids": [0, 1]}, r"sids: found \[0, 1\], expected a whole number"),
        ({"sids": 0}, "found no spembs, expected 2 numbers"),
        ({"sids": 0, "spembs": [1.0]}, "found spembs of 1 numbers, expected 2"),
        ({"sids": 0, "spembs": []}, "spembs: found .*, expected numbers"),
        ({"sid": 0}, "found sid, expected sids, lids, spembs or speech"),
    ],
)
def test_wrong_voices_are_said(tmp_path, who, said):
    speaker = voice(tmp_path, "acoustic", spks=3, spk_embed_dim=2)
    for speak in (lambda: speaker("abc", **who), lambda: speaker.many(["abc"], [who])):
        with pytest.raises(UserError, match=said):
            speak()


def test_who_can_do_without_a_number(tmp_path):
    """The one voice that an adapted model began with; ESPnet's models of several voices never can."""
    heard(voice(tmp_path, "acoustic", adapters={"width": 4})("abc"))
    stock = espnet2("tts.fastspeech2").FastSpeech2(9, 4, adim=8, eunits=8, dunits=8, spks=3)
    for wrong in ({}, {"sids": 3}):
        with pytest.raises(UserError, match=r"sids: found .*, expected numbers from 0 to 2"):
            as_conditions(stock, wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pause", -1),
        ("pause", "long"),
        ("pause", float("nan")),
        ("longest", 0),
        ("batch_size", 1.5),
        ("griffin_lim_iters", 0),
        ("speed_control_alpha", 0),
        ("noise_scale", -1),
        ("pitch_shift", "high"),
        ("energy_factor", True),
        ("controls", "none"),
    ],
)
def test_wrong_options_are_said(name, value):
    with pytest.raises(UserError, match=f"^{name}: found {value!r}, expected "):
        replace(OPTIONS, **{name: value})


def test_who_speaks_tells_speech_apart(tmp_path):
    folder = train(tmp_path, "acoustic", spks=3)
    one = Text2Speech.from_pretrained(folder, voice=1, options=OPTIONS)
    keys = {one.identity, Text2Speech.from_pretrained(folder, voice=2, options=OPTIONS).identity}
    assert one.identity == Text2Speech.from_pretrained(folder, voice=1, options=OPTIONS).identity
    one.options = replace(OPTIONS, pause=1.0)
    assert len(keys | {one.identity}) == 3


@pytest.mark.parametrize("kind", list(KINDS))
def test_damaged_weights_give_no_noise(tmp_path, kind):
    folder = train(tmp_path, kind)
    state = torch.load(folder / "valid.loss.ave.pth")
    state["tts.out.bias" if kind == "aligned" else "tts.decoder.out.bias"][:] = float("nan")
    torch.save(state, folder / "valid.loss.ave.pth")
    speaker = Text2Speech.from_dir(folder, options=OPTIONS)
    for speak in (speaker, lambda t: speaker.many([t])):
        with pytest.raises(UserError, match="found NaN or infinity"):
            speak("abc")
