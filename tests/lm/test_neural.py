"""Our Transformer and LSTM language models: read step by step as at once, in stock's search and training, alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from espnet_ext.lm.lstm import LstmLM
from espnet_ext.lm.transformer import TransformerLM

V = 11
KINDS = {
    "transformer": lambda **more: TransformerLM(V, width=16, heads=2, layers=3, **more),
    "lstm": lambda **more: LstmLM(V, width=16, layers=3, **more),
}


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    torch.manual_seed(0)
    return request.param


def texts(number=4, length=40) -> Tensor:
    tokens = torch.randint(1, V - 1, (number, length), generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = V - 1
    return tokens


@torch.no_grad()
def test_step_by_step_is_at_once(kind):
    model = KINDS[kind]().eval()
    tokens = texts()
    whole = model(tokens, None)[0].log_softmax(-1)
    state = model.start(4)
    for place in range(tokens.shape[1]):
        found, state = model.step(tokens[:, place], state)
        assert torch.allclose(found, whole[:, place], atol=1e-5)


@torch.no_grad()
def test_what_stands_behind_changes_nothing(kind):
    model = KINDS[kind]().eval()
    one, other = texts(), texts()
    other[:, 20:] = 0
    assert torch.allclose(model(one, None)[0][:, :20], model(other, None)[0][:, :20], atol=1e-6)
    assert not torch.allclose(model(one, None)[0][:, 21:], model(other, None)[0][:, 21:], atol=1e-3)


@torch.no_grad()
def test_order_matters(kind):
    """ESPnet's Transformer has no positions by default: one layer of it takes a text for a bag of tokens."""
    model = KINDS[kind]().eval()
    swapped = texts(length=11)
    swapped[:, [3, 9]] = swapped[:, [9, 3]]
    assert not torch.allclose(
        model(texts(length=11), None)[0][:, -1], model(swapped, None)[0][:, -1], atol=1e-4
    )


@torch.no_grad()
def test_hypotheses_fork_and_join(kind):
    model = KINDS[kind]().eval()
    tokens = texts(6, 9)
    tokens[2, :5], tokens[5, :5] = tokens[0, :5], tokens[4, :5]  # two fork after five tokens
    expected = model(tokens, None)[0].log_softmax(-1)
    parents, state = torch.tensor([0, 1, 3, 4]), model.start(4)
    for place in range(5):
        found, state = model.step(tokens[parents, place], state)
    state = model.reorder(state, torch.tensor([0, 1, 0, 2, 3, 3]))
    for place in range(5, 9):
        found, state = model.step(tokens[:, place], state)
    assert torch.allclose(found, expected[:, -1], atol=1e-5)
    states = [None] * 6
    for end in range(1, 10):
        found, states = model.batch_score(tokens[:, :end], states, tokens)
    assert torch.allclose(found, expected[:, -1], atol=1e-5)
    alone = []  # as stock's unbatched search has them: states of calls of their own
    for row in range(6):
        state = None
        for end in range(1, 9):
            _, state = model.score(tokens[row, :end], state, tokens)
        alone.append(state)
    found, _ = model.batch_score(tokens, alone, tokens)
    assert torch.allclose(found, expected[:, -1], atol=1e-5)


def test_one_matrix_in_and_out(kind):
    shared, apart = (
        sum(p.numel() for p in KINDS[kind](share_embedding=s).parameters()) for s in (True, False)
    )
    assert apart - shared == 16 * V


def test_it_learns(kind):
    model = KINDS[kind](dropout=0.0)
    tokens = torch.cat(
        [torch.full((2, 1), V - 1), torch.arange(2, 18).remainder(7).add(1).expand(2, -1)], dim=1
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        logits, _ = model(tokens[:, :-1], None)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[0] < 5 and losses[-1] < 0.1


def test_dropout_only_in_training(kind):
    model = KINDS[kind](dropout=0.5)
    assert not torch.equal(model(texts(), None)[0], model(texts(), None)[0])
    model.eval()
    assert torch.equal(model(texts(), None)[0], model(texts(), None)[0])


def test_a_width_that_does_not_fit():
    with pytest.raises(ValueError, match="found width 10 and 4 heads"):
        TransformerLM(V, width=10, heads=4)


CONF = {
    "transformer": (
        "espnet_ext.lm.transformer:TransformerLM",
        {"width": 16, "heads": 2, "layers": 1},
    ),
    "lstm": ("espnet_ext.lm.lstm:LstmLM", {"width": 16, "layers": 1}),
}


@pytest.fixture(scope="module")
def trained(tiny):
    """Folders of trained models of both kinds."""
    from espnet_ext.train.run import train_model

    folders = {}
    for kind, (name, conf) in CONF.items():
        folders[kind] = tiny.root / "exp" / f"lm_{kind}"
        train_model("lm", tiny.places("lm", folders[kind], {"lm": name, "lm_conf": conf}), "cpu")
    return folders


def test_named_in_a_yaml_it_decodes(tiny, trained, kind):
    import numpy as np

    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

    folder = trained[kind]
    options = DecodeOptions(beam_size=3, lm_weight=0.5)
    engine = Speech2Text.from_dir(tiny.model("asr"), lm_dir=folder, options=options)
    assert type(engine.search).__name__ == "BatchBeamSearch"
    found = engine(0.1 * np.sin(np.arange(8000) * 0.5).astype(np.float32))[0]
    ids = torch.tensor([[7, *found.token_ids]])
    with torch.no_grad():
        logp = engine.search.full_scorers["lm"](ids, None)[0][0].log_softmax(-1)
    expected = float(logp[range(ids.shape[1]), [*found.token_ids, 7]].sum())
    assert found.scores["lm"] == pytest.approx(expected, abs=1e-3)
