"""The decoder with a cache: as stock's with the same weights, step by step, in stock's search, over utterances."""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.asr.decoder import CachedTransformerDecoder
from espnet_ext.bridge.imports import espnet2, legacy
from tests.asr.tiny_model import check_gradient, tiny_batch, tiny_model

SIZE = {"attention_heads": 2, "linear_units": 12, "num_blocks": 3}
VOCABULARY, WIDTH = 11, 8


def decoder(**changes):
    torch.manual_seed(0)
    made = CachedTransformerDecoder(VOCABULARY, WIDTH, **{**SIZE, **changes})
    for parameter in made.parameters():  # biases too
        torch.nn.init.normal_(parameter, std=0.5)
    return made.eval()


def stock_decoder(weights):
    stock = espnet2("asr.decoder.transformer_decoder").TransformerDecoder(VOCABULARY, WIDTH, **SIZE)
    stock.load_state_dict(weights)
    return stock.eval()


def texts():
    torch.manual_seed(1)
    memory, lengths = torch.randn(3, 9, WIDTH), torch.tensor([9, 4, 6])
    return memory, lengths, torch.randint(VOCABULARY, (3, 7)), torch.tensor([7, 2, 5])


@torch.no_grad()
def test_stocks_weights_give_stocks_scores():
    ours = decoder()
    memory, lengths, text, sizes = texts()
    (logits, hidden), _ = ours(memory, lengths, text, sizes, return_hs=True)
    expected, _ = stock_decoder(ours.state_dict())(memory, lengths, text, sizes, return_hs=True)
    for row, size in enumerate(sizes):
        assert torch.allclose(logits[row, :size], expected[0][row, :size], atol=1e-5)
        assert torch.allclose(hidden[row, :size], expected[1][row, :size], atol=1e-5)


@torch.no_grad()
def test_layers_are_left_out_in_training_alone():
    still = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}
    memory, lengths, text, sizes = texts()
    thinned = decoder(**still, layer_drop_rate=0.5)
    whole = thinned(memory, lengths, text, sizes)[0]
    without = decoder(**still, num_blocks=0)
    without.load_state_dict(thinned.state_dict(), strict=False)
    none = without(memory, lengths, text, sizes)[0]
    found = [thinned.train()(memory, lengths, text, sizes)[0] for _ in range(60)]
    assert len({round(float(x.sum()), 2) for x in found}) == 8  # every choice of three layers
    for expected, times in ((whole, 60 / 8), (none, 60 / 8)):
        assert 1 <= sum(torch.allclose(x, expected, atol=1e-4) for x in found) <= 3 * times
    assert torch.equal(thinned.eval()(memory, lengths, text, sizes)[0], whole)


@torch.no_grad()
def test_training_and_inference_kernels_agree():
    ours = decoder(dropout_rate=0.0, positional_dropout_rate=0.0)
    memory, lengths, text, sizes = texts()
    before, _ = ours(memory, lengths, text, sizes)
    attention = ours.decoders[0].src_attn.attn
    assert torch.allclose(attention.sum(-1), torch.ones(()), atol=1e-6)
    assert attention[1, ..., 4:].abs().max() == 0
    ours.train()
    ours.decoders[0].src_attn.attn = None
    assert torch.allclose(ours(memory, lengths, text, sizes)[0], before, atol=1e-5)
    assert ours.decoders[0].src_attn.attn is None
    ours.keep_attention()
    assert torch.allclose(ours(memory, lengths, text, sizes)[0], before, atol=1e-5)
    assert torch.allclose(ours.decoders[0].src_attn.attn, attention, atol=1e-6)


@pytest.mark.parametrize("positions", ["absolute", "rotary"])
@torch.no_grad()
def test_step_by_step_is_the_whole_text(positions):
    ours = decoder(positions=positions)
    torch.manual_seed(1)
    memory, lengths = torch.randn(3, 9, WIDTH), torch.tensor([9, 0, 6])
    text = torch.randint(VOCABULARY, (3, 40))  # longer than the room that is made at once
    (expected, hidden), _ = ours(memory, lengths, text, torch.full((3,), 40), return_hs=True)
    state = ours.start(memory, lengths)
    for place in range(40):
        (found, last), state = ours.step(text[:, place], state, return_hs=True)
        assert torch.allclose(found, expected[:, place].log_softmax(-1), atol=1e-5)
        assert torch.allclose(last, hidden[:, place], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.data())
@torch.no_grad()
def test_beams_of_several_utterances_go_their_own_ways(data):
    """Any choice of hypotheses at each step, against the whole text of each of them."""
    ours = _ROTARY if data.draw(st.booleans()) else _ABSOLUTE
    memory, lengths, _, _ = texts()
    state, written = ours.start(memory, lengths), torch.zeros(3, 0, dtype=torch.int64)
    for _ in range(data.draw(st.integers(1, 4))):
        number = len(state.owner)
        index = torch.tensor(
            sorted(
                data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=7)),
                key=lambda row: int(state.owner[row]),
            )
        )
        tokens = torch.tensor(
            data.draw(st.lists(st.integers(0, 10), min_size=len(index), max_size=len(index)))
        )
        before = state.past.clone()
        moved = ours.reorder(state, index)
        found, after = ours.step(tokens, moved)
        assert torch.equal(state.past, before)  # the state that was copied is left alone
        written, state = torch.cat((written[index], tokens[:, None]), dim=1), after
        whole, _ = ours(
            memory[state.owner],
            lengths[state.owner],
            written,
            torch.full((len(index),), written.shape[1]),
        )
        assert torch.allclose(found, whole[:, -1].log_softmax(-1), atol=1e-5)


_ABSOLUTE, _ROTARY = decoder(), decoder(positions="rotary")


@torch.no_grad()
def test_hypotheses_share_their_utterances_memory():
    ours = decoder()
    state = ours.start(*texts()[:2])
    keys = state.memory.keys[0]
    state = ours.reorder(state, torch.tensor([0, 0, 1, 2, 2, 2]))
    _, state = ours.step(torch.arange(6), state)
    assert state.memory.keys[0] is keys and len(keys) == 3
    assert not state.even and state.widest == 3


@pytest.mark.parametrize("search", ["batch_beam_search", "beam_search"])
@torch.no_grad()
def test_stocks_search_finds_the_same_with_stocks_decoder(search):
    name = "".join(word.title() for word in search.split("_"))
    module = legacy(f"nets.{search}")
    ours = decoder()
    found = []
    for made in (ours, stock_decoder(ours.state_dict())):
        length = legacy("nets.scorers.length_bonus").LengthBonus(VOCABULARY)
        find = getattr(module, name)(
            scorers={"decoder": made, "length": length},
            weights={"decoder": 1.0, "length": 0.3},
            beam_size=4,
            vocab_size=VOCABULARY,
            sos=VOCABULARY - 1,
            eos=VOCABULARY - 1,
        )
        torch.manual_seed(2)
        found.append(find(torch.randn(12, WIDTH), maxlenratio=1.0))
    assert len(found[0]) == len(found[1]) > 2
    for mine, theirs in zip(*found, strict=True):
        assert mine.yseq.tolist() == theirs.yseq.tolist()
        assert float(mine.score) == pytest.approx(float(theirs.score), abs=1e-3)


@torch.no_grad()
def test_hypotheses_of_several_calls_are_scored_together():
    ours = decoder()
    memory, _, text, _ = texts()
    own = []
    for row in range(3):
        state = None
        for end in (1, 2, 3):
            _, state = ours.score(text[row, :end], state, memory[0])
        own.append(state)
    together, _ = ours.batch_score(text[:, :4], own, memory[:1].expand(3, -1, -1))
    whole, _ = ours(
        memory[:1].expand(3, -1, -1), torch.full((3,), 9), text[:, :4], torch.full((3,), 4)
    )
    assert torch.allclose(together, whole[:, -1].log_softmax(-1), atol=1e-5)
    prompted, _ = ours.batch_score(text[:, :4], [None] * 3, memory[:1].expand(3, -1, -1))
    assert torch.allclose(together, prompted, atol=1e-5)


@torch.no_grad()
def test_a_memory_without_frames_says_nothing():
    ours = decoder()
    memory, _, text, sizes = texts()
    found = []
    for shown in (memory, memory * 2):
        logits, _ = ours(shown, torch.tensor([9, 0, 6]), text, sizes)
        assert bool(torch.isfinite(logits).all())
        found.append(logits)
    assert torch.equal(found[0][1], found[1][1]) and not torch.equal(found[0][0], found[1][0])


@pytest.mark.parametrize("conf", [{}, {"positions": "rotary"}, {"share_embedding": True}])
def test_gradients(conf):
    name = "espnet_ext.asr.decoder:CachedTransformerDecoder"
    small = {"attention_heads": 2, "linear_units": 4, "num_blocks": 2}
    off = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0}
    model = tiny_model(decoder=name, decoder_conf={**small, **off, **conf}).double()
    check_gradient(model, tiny_batch(dtype=torch.double))


def test_stocks_attention_plots_find_ours():
    name = "espnet_ext.asr.decoder:CachedTransformerDecoder"
    model = tiny_model(decoder=name, decoder_conf=SIZE).eval()
    calculate = espnet2("main_funcs.calculate_all_attentions").calculate_all_attentions
    found = calculate(model, tiny_batch())
    assert {f"decoder.decoders.{n}.src_attn" for n in range(3)} <= set(found)
    assert found["decoder.decoders.0.src_attn"][1].shape == (
        2,
        3,
        8,
    )  # heads, tokens and <sos>, frames


@pytest.mark.parametrize(
    ("conf", "words"), [({"positions": "learnt"}, "learnt"), ({"attention_heads": 3}, "3 heads")]
)
def test_wrong_options(conf, words):
    with pytest.raises(ValueError, match=words):
        decoder(**conf)


@pytest.mark.slow
def test_spread_over_processes_it_learns_the_same(tmp_path, repo):
    """`fsdp: true` with one matrix for tokens in and out: layers whose weights are together only while they compute."""
    command = [sys.executable, str(repo / "tests/asr/sharded_decoder.py"), str(tmp_path / "meet")]
    given = {**os.environ, "PYTHONPATH": str(repo)}
    done = subprocess.run(command, capture_output=True, text=True, env=given)
    assert done.returncode == 0 and "the same" in done.stdout, done.stderr[-2000:]
