"""Streams: what comes in pieces is recognised as the whole is, and what is shown stays."""

import math
from dataclasses import replace
from itertools import groupby, product

import jiwer
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.audio.resample import resample
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.inference.confidence import Platt
from espnet_ext.inference.options import DecodeOptions
from espnet_ext.inference.streaming import StreamingSpeech2Text, StreamOptions
from espnet_ext.inference.streaming_features import FeatureStream
from espnet_ext.inference.streaming_partials import Shown, flicker
from espnet_ext.inference.streaming_search import Heard, PrefixBeam, rescored
from espnet_ext.text.tokens import TextPipeline

RATE = 8000
TONES = {"low": 350.0, "middle": 900.0, "high": 2300.0}
TOKENS = ["<blank>", "<unk>", *TONES, "<sos/eos>"]
CONFIG = {
    "token_list": TOKENS,
    "token_type": "word",
    "frontend_conf": {"fs": RATE, "n_fft": 256, "win_length": 256, "hop_length": 80, "n_mels": 20},
    "normalize": "global_mvn",
    "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
    "encoder_conf": {
        "output_size": 24,
        "num_blocks": 2,
        "attention_heads": 2,
        "linear_units": 32,
        "kernel": 5,
        "channels": 4,
        "dropout_rate": 0.0,
        "chunk": {"sizes": [4, 8], "left": 3, "offline_share": 0.3},
    },
    "decoder": "espnet_ext.asr.decoder:CachedTransformerDecoder",
    "decoder_conf": {
        "attention_heads": 2,
        "linear_units": 32,
        "num_blocks": 1,
        "dropout_rate": 0.0,
        "positional_dropout_rate": 0.0,
    },
    "model_conf": {"ctc_weight": 0.8, "report_cer": False, "report_wer": False},
}


def said(words, random, pause=0.0):
    """Tones of 0.2 s with gaps of 0.1 s, and silence behind them."""
    time = np.arange(int(0.2 * RATE)) / RATE
    parts = []
    for word in words:
        phase = random.uniform(0, 6)
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * time + phase), np.zeros(RATE // 10)]
    wave = np.concatenate([*parts, np.zeros(int(pause * RATE))])
    return (wave + 0.002 * random.standard_normal(len(wave))).astype(np.float32)


def some_words(random, number):
    return [str(word) for word in random.choice(list(TONES), size=number)]


def statistics(path, random):
    """Of the features of a few signals, as a recipe's statistics stage writes them."""
    from espnet2.asr.frontend.default import DefaultFrontend

    front = DefaultFrontend(**CONFIG["frontend_conf"])
    wave = said(some_words(random, 20), random, 1.0)
    feats = front(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))[0][0].numpy()
    sums = {"sum": feats.sum(0), "sum_square": (feats**2).sum(0)}
    np.savez(path, count=len(feats), **sums)
    return {"normalize_conf": {"stats_file": str(path)}}


def taught(stats, seed, steps=300, lr=0.012):
    """A model that learns the tones in chunks, for a few seconds, and its loss at the end."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = TASKS["asr"].build({**TASKS["asr"].defaults, **CONFIG, **stats}).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        number = int(random.integers(2, 9))  # were it always the same, the decoder would count
        words = [some_words(random, number) for _ in range(8)]
        pause = random.choice([0.0, 0.4, 1.0])
        speech = torch.from_numpy(np.stack([said(w, random, pause) for w in words]))
        text = torch.tensor([[TOKENS.index(word) for word in w] for w in words])
        sizes = (torch.full((8,), speech.shape[1]), torch.full((8,), number))
        loss = model(speech, sizes[0], text, sizes[1])[0]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rates.step()
        losses.append(loss.item())
    return model.eval(), float(np.mean(losses[-25:]))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One that has learnt: about one of thirty does not, and rounding, which differs by machine, decides which."""
    stats = statistics(tmp_path_factory.mktemp("streaming") / "stats.npz", np.random.default_rng(0))
    found, loss = taught(stats, seed=0)
    for seed in (1, 2):
        if loss > 2:
            found, loss = taught(stats, seed)
    assert loss < 2
    return found


def engine(model, **options):
    return StreamingSpeech2Text(model, TextPipeline("word", TOKENS), RATE, StreamOptions(**options))


def pieces(samples, sizes):
    """Cut into pieces, whose sizes repeat."""
    begin, number, found = 0, 0, []
    while begin < len(samples):
        size = sizes[number % len(sizes)]
        found.append(samples[begin : begin + size])
        begin, number = begin + size, number + 1
    return found


# -- features -------------------------------------------------------------------------------------------------------


@given(
    length=st.integers(0, 3000),
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=4),
    n_fft=st.sampled_from([64, 256]),
    hop=st.sampled_from([16, 80, 100]),
)
@settings(deadline=None, max_examples=15)
def test_features_of_pieces_are_those_of_the_whole(length, sizes, n_fft, hop):
    from espnet2.asr.frontend.default import DefaultFrontend

    front = DefaultFrontend(
        fs=RATE, n_fft=n_fft, win_length=n_fft, hop_length=min(hop, n_fft // 2), n_mels=8
    )
    samples = torch.randn(length, generator=torch.Generator().manual_seed(length))
    stream = FeatureStream(front, None)
    found = [stream.feed(piece) for piece in pieces(samples, sizes)]
    found = torch.cat([*found, stream.feed(torch.zeros(0), last=True)])
    if length <= n_fft // 2:
        assert len(found) == 0
        return
    expected = front(samples[None], torch.tensor([length]))[0][0]
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)
    assert len(stream.held) <= 2 * n_fft + max(sizes) + hop


# -- the encoder ----------------------------------------------------------------------------------------------------


@given(
    length=st.integers(200, 9000),
    sizes=st.lists(st.integers(300, 4000), min_size=1, max_size=3),
    chunk=st.sampled_from([0.1, 0.16, 0.32, 0.5]),
    left=st.sampled_from([None, 0, 2]),
)
@settings(deadline=None, max_examples=10)
def test_the_stream_is_encoded_as_the_whole_under_the_mask(model, length, sizes, chunk, left):
    samples = said(["low", "high", "middle", "low"], np.random.default_rng(1))[:length]
    listening = engine(model, chunk=chunk, left=left, silence=0, longest=0)
    listener = listening.start()
    for piece in pieces(samples, sizes):
        listener.feed(piece)
    listener._hear(torch.zeros(0), last=True)
    found = torch.cat(listener.sentence.encoded)
    expected = offline(model, samples, listening.chunk, 3 if left is None else left)
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)


def offline(model, samples, chunk, left):
    """The encoder's output for a whole utterance under the mask of chunks."""
    encoder = model.encoder
    before = encoder.chunks, encoder.decoding_chunk
    encoder.chunks, encoder.decoding_chunk = replace(encoder.chunks, left=left), chunk
    with torch.no_grad():
        sizes = torch.tensor([len(samples)])
        encoded = model.encode(torch.from_numpy(samples)[None], sizes)[0][0]
    encoder.chunks, encoder.decoding_chunk = before
    return encoded


# -- the search -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_prefixes_have_the_probability_of_all_their_paths(seed, frames):
    log_probs = torch.randn(frames, 3, generator=torch.Generator().manual_seed(seed))
    log_probs = (2 * log_probs).log_softmax(-1).double().numpy()
    expected = {}
    for path in product(range(3), repeat=frames):
        prefix = tuple(token for token, _ in groupby(path) if token)
        probability = math.exp(sum(log_probs[t, token] for t, token in enumerate(path)))
        expected[prefix] = expected.get(prefix, 0.0) + probability
    beam = PrefixBeam(beam=10**6, candidates=3, least=-math.inf)
    beam.feed(log_probs[:2])
    beam.feed(log_probs[2:])
    found = {heard.tokens: math.exp(heard.score) for heard in beam.best()}
    assert found == pytest.approx(expected, abs=1e-12)
    scores = [heard.score for heard in beam.best()]
    assert scores == sorted(scores, reverse=True)


def test_the_end_of_a_sentence_is_no_word():
    """CTC was never taught it, but has a place for it."""
    log_probs = np.log(np.full((4, 6), 0.02) + np.eye(6)[[2, 5, 5, 3]] * 0.88)
    beam = PrefixBeam(eos=5)
    beam.feed(log_probs)
    assert beam.best()[0].tokens == (2, 3)
    assert all(5 not in heard.tokens for heard in beam.best())


def test_second_thoughts_are_the_decoders(model):
    encoded = torch.randn(9, 24, generator=torch.Generator().manual_seed(0))
    heard = [Heard((2, 3), -1.0), Heard((4,), -2.0), Heard((2, 2, 3), -5.0)]
    found = {h.tokens: h.score for h in rescored(model.decoder, encoded, heard, 5, 0.3)}
    for one in heard:
        tokens, score = [5, *one.tokens], 0.0
        for place, token in enumerate([*one.tokens, 5]):
            text = torch.tensor([tokens[: place + 1]])
            with torch.no_grad():
                sizes = torch.tensor([9]), torch.tensor([place + 1])
                logits = model.decoder(encoded[None], sizes[0], text, sizes[1])[0]
            score += float(logits[0, -1].log_softmax(-1)[token])
        assert found[one.tokens] == pytest.approx(0.3 * one.score + 0.7 * score, abs=1e-4)


# -- what is shown --------------------------------------------------------------------------------------------------


def test_words_are_shown_when_they_are_over_and_agreed_on():
    letters = "?? abc"
    shown = Shown(lambda ids: "".join(letters[i] for i in ids), margin=3.0)
    space, a, b, c = 2, 3, 4, 5
    assert shown.update([Heard((), 0.0)], pause=True) == ()
    assert shown.update([Heard((a,), -1.0)], pause=False) == ()
    assert shown.update([Heard((a, space, b), -1.0)], pause=False) == ("a",)
    doubt = [Heard((a, space, b), -1.0), Heard((a, space, c), -2.0)]
    assert shown.update(doubt, pause=True) == ("a",)
    sure = [Heard((a, space, b), -1.0), Heard((a, space, c), -9.0)]
    assert shown.update(sure, pause=True) == ("a", "b")
    assert shown.update(doubt, pause=True) == ("a", "b")  # doubt takes nothing away
    assert shown.update([Heard((a, space, c), -1.0)], pause=True) == ("a", "c")


def test_flicker_counts_words_that_did_not_stay():
    assert flicker([], ("a",)) == (0, 0)
    assert flicker([("a",), ("a", "b"), ("a", "b", "c")], ("a", "b", "c", "d")) == (0, 3)
    assert flicker([("a", "b"), ("x", "b")], ("x",)) == (2, 3)


def test_characters_are_shown_where_a_script_has_no_spaces():
    letters = "??今日は"
    shown = Shown(lambda ids: "".join(letters[i] for i in ids), margin=3.0)
    assert shown.update([Heard((2,), -1.0)], pause=False) == ()
    assert shown.update([Heard((2, 3), -1.0)], pause=False) == ("今",)
    assert shown.update([Heard((2, 3, 4), -1.0)], pause=False) == ("今", "日")
    assert shown.update([Heard((2, 3, 4), -1.0)], pause=True) == ("今", "日", "は")


# -- all together ---------------------------------------------------------------------------------------------------


def test_a_stream_is_recognised_word_for_word(model):
    random = np.random.default_rng(7)
    changed = shown = wrong = 0
    for _ in range(4):
        words = some_words(random, 7)
        found = engine(model)(said(words, random, pause=1.2), piece=0.1)
        final = [one for one in found if one.final]
        assert len(final) == 1 and not any(one.final for one in found[:-1])
        wrong += final[0].words != tuple(words)
        one, other = flicker([f.words for f in found[:-1]], final[0].words)
        changed, shown = changed + one, shown + other
        # the sentence ends 0.8 s of silence after its last word, within a chunk
        end = 0.3 * len(words) - 0.1
        assert end + 0.6 < final[0].heard < end + 0.8 + 0.32 + 0.3
    assert wrong == 0 and shown >= 4 * 6 and changed <= 0.1 * shown


def test_words_have_their_times(model):
    random, words = np.random.default_rng(3), ["low", "middle", "high", "low"]
    (final,) = [f for f in engine(model)(said(words, random, pause=0.2)) if f.final]
    assert [w.text for w in final.hypothesis.words] == words
    for number, word in enumerate(final.hypothesis.words):
        assert abs(word.start - 0.3 * number) < 0.35 and word.end <= 0.3 * number + 0.65
        assert 0 < word.confidence <= 1


def test_a_script_without_spaces_is_shown_while_it_is_said(model):
    random, words = np.random.default_rng(3), ["low", "middle", "high", "low", "middle"]
    letters = dict(zip(TONES, "低中高", strict=True))
    chars = TextPipeline("char", ["<blank>", "<unk>", *letters.values(), "<sos/eos>"])
    *partials, final = StreamingSpeech2Text(model, chars, RATE)(said(words, random, pause=0.2))
    text = "".join(letters[word] for word in words)
    assert final.final and final.text == text and final.words == tuple(text)
    assert {len(one.words) for one in partials} & {1, 2, 3, 4}
    assert all(" " not in one.text for one in partials)
    assert flicker([one.words for one in partials], final.words)[0] <= 2
    starts = [word.start for word in final.hypothesis.words]
    assert starts == sorted(set(starts)) and len(starts) == len(words)


def test_confidences_are_made_honest_as_offline(model):
    random = np.random.default_rng(3)
    samples = said(some_words(random, 4), random, pause=0.2)

    def sure(**options):
        final = engine(model, **options)(samples)[-1].hypothesis
        return [word.confidence for word in final.words]

    raw = sure(confidence_scale=1.0, confidence_shift=0.0)
    usual, own = DecodeOptions(), Platt(0.3, -1.5)
    expected = Platt(usual.confidence_scale, usual.confidence_shift)(raw)
    assert sure() == pytest.approx(expected, abs=1e-3) and sure() != raw
    found = sure(confidence_scale=own.scale, confidence_shift=own.shift)
    assert found == pytest.approx(own(raw), abs=1e-3)


def test_sentences_end_at_pauses_and_times_go_on(model):
    random = np.random.default_rng(5)
    one, two = ["low", "high", "low"], ["middle", "middle", "high"]
    whole = np.concatenate([said(one, random, pause=1.6), said(two, random, pause=0.1)])
    final = [f for f in engine(model)(whole) if f.final]
    assert [list(f.words) for f in final] == [one, two]
    assert final[0].start == 0 and 1.0 < final[1].start < 2.5
    assert final[1].hypothesis.words[0].start == pytest.approx(2.5, abs=0.35)
    (both,) = [f for f in engine(model, silence=0)(whole) if f.final]
    assert list(both.words) == one + two
    cut = [f for f in engine(model, silence=0, longest=0.5)(whole) if f.final]
    assert len(cut) > 1 and all(f.hypothesis.words[-1].end - f.start < 0.75 + 0.4 for f in cut)


@pytest.mark.parametrize("again", [True, False])
def test_a_sentence_that_is_over_is_heard_as_a_whole(model, again):
    """What was the end's alone to know: frames of the chunks before, too, have seen all of it."""
    random = np.random.default_rng(13)
    samples = said(some_words(random, 5), random, pause=0.3)
    (final,) = [f for f in engine(model, again=again, silence=0)(samples) if f.final]
    encoded = {w: offline(model, samples, None if w else 8, 3) for w in (True, False)}
    beams = {}
    for whole, x in encoded.items():
        beam = PrefixBeam(8, eos=5)
        beam.feed(model.ctc.log_softmax(x[None])[0].detach().numpy())
        beams[whole] = rescored(model.decoder, x, beam.best(), 5, 0.5)[0]
    assert final.hypothesis.score == pytest.approx(beams[again].score, abs=1e-3)
    assert final.hypothesis.token_ids == beams[again].tokens
    assert abs(beams[True].score - beams[False].score) > 2e-3


def test_models_that_never_heard_a_whole_utterance_do_not_now(model):
    chunks = model.encoder.chunks
    try:
        model.encoder.chunks = replace(chunks, offline_share=0.0)
        assert not engine(model).again
    finally:
        model.encoder.chunks = chunks
    assert engine(model).again


@pytest.mark.parametrize(("rate", "sizes"), [(RATE, [800]), (2 * RATE, [37, 2500, 0, 1])])
def test_blocks_of_any_size_rate_and_form(model, rate, sizes):
    random = np.random.default_rng(11)
    words = some_words(random, 4)
    wave = said(words, random, pause=1.4)
    sound = resample(wave, RATE, rate)
    sound = (np.stack([sound, sound], 1) * 32767).astype(np.int16)
    listening = engine(model)
    found = list(listening.live(pieces(sound, sizes), rate))
    at_once = engine(model).live([sound], rate)
    assert [f.words for f in found if f.final] == [f.words for f in at_once if f.final]
    told = " ".join(
        found[-1].words
    )  # by a tiny model, which another number of threads trains otherwise
    assert rate != RATE or jiwer.wer(" ".join(words), told) < 0.5
    early = [f for f in found if not f.final]
    assert early and early[0].heard < len(wave) / RATE - 0.5
    heard = [f.heard for f in found]
    assert heard == sorted(heard)


def test_results_come_before_the_next_block_is_asked_for(model):
    random = np.random.default_rng(5)
    wave = said(["low", "high", "low", "middle"], random, pause=1.5)
    asked = []

    def microphone():
        for number, block in enumerate(pieces(wave, [800])):
            asked.append(number)
            yield block
        raise OSError("unplugged")

    stream, times = engine(model).live(microphone()), []
    with pytest.raises(OSError, match="unplugged"):
        for one in stream:
            times.append((one.final, one.heard, 0.1 * len(asked)))
    assert any(final for final, *_ in times)
    assert all(heard == pytest.approx(now, abs=0.11) for _, heard, now in times)


def test_what_was_said_before_the_sound_broke_off_is_told(model):
    wave = said(["low", "high"], np.random.default_rng(5))

    def microphone():
        yield wave
        raise OSError("unplugged")

    found = []
    with pytest.raises(OSError, match="unplugged"):
        found.extend(engine(model).live(microphone()))
    found = []
    try:
        for one in engine(model).live(microphone()):
            found.append(one)
    except OSError:
        pass
    assert found[-1].final and list(found[-1].words) == ["low", "high"]


def test_the_cut_of_the_pieces_changes_nothing(model):
    random = np.random.default_rng(11)
    wave = said(some_words(random, 5), random, pause=1.0)
    results = []
    for sizes in ([800], [4000], [37, 2500, 1]):
        listener, found = engine(model).start(), []
        for piece in pieces(wave, sizes):
            found += listener.feed(piece)
        found += listener.end()
        results.append([(f.words, f.final, f.start) for f in found])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("samples", [0, 1, 128, 129, 700])
def test_next_to_nothing_is_next_to_nothing(model, samples):
    listener = engine(model).start()
    found = listener.feed(np.zeros(samples, dtype=np.int16)) + listener.end()
    assert len(found) <= (samples > 128)


def test_what_cannot_be_listened_to(model):
    listener = engine(model).start()
    with pytest.raises(UserError, match=r"shape \(4, 2\), expected \(T,\)"):
        listener.feed(np.zeros((4, 2)))
    with pytest.raises(UserError, match="no numbers"):
        listener.feed(np.array([0.0, np.nan]))
    listener.end()
    with pytest.raises(UserError, match="after the end"):
        listener.feed(np.zeros(4))
    with pytest.raises(UserError, match="chunk: found 0"):
        StreamOptions(chunk=0)
    chunks, model.encoder.chunks = model.encoder.chunks, None
    try:
        with pytest.raises(UserError, match="not trained in chunks"):
            engine(model)
    finally:
        model.encoder.chunks = chunks


class UtteranceMVN:
    """Stands for ESPnet's."""


def test_a_normalisation_of_the_whole_is_refused(model):
    with pytest.raises(UserError, match="found UtteranceMVN, which needs the whole"):
        FeatureStream(model.frontend, UtteranceMVN())
