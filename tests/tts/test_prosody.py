"""Embeddings of what is known of tokens, in a model and through training."""

import pytest
import torch

from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.text.token_features import Folding
from espnet_ext.train.run import train_model
from tests.train.test_feeds import acoustic as changes

NAMES = "boundary emphasis stress pos"


@pytest.fixture
def speaker(acoustic):
    """A model whose embeddings of prosody say something."""
    made = acoustic(encoder={"prosody": NAMES, "prosody_dropout": 0.0})
    for table in made.encoder.prosody.values():
        torch.nn.init.normal_(table.weight[1:])
    return made


def test_each_feature_changes_the_speech_and_nothing_known_is_a_plain_token(acoustic, speaker):
    text = torch.tensor([2, 3, 4, 5])
    folding, plain = speaker.encoder.folding, speaker.inference(text)["feat_gen"]
    bare = acoustic()
    bare.load_state_dict(speaker.state_dict(), strict=False)
    assert torch.equal(plain, bare.inference(text)["feat_gen"])
    for place in range(4):
        values = [int(place == other) for other in range(4)]
        said = torch.tensor([2, folding.fold(3, values), 4, 5])
        found = speaker.inference(said)["feat_gen"]
        assert found.shape != plain.shape or not torch.allclose(found, plain, atol=1e-4)


def test_gradients_reach_the_embeddings_of_what_was_said(speaker, batch):
    folding = speaker.encoder.folding
    batch["text"][0, 1] = folding.fold(3, (2, 1, 3, 8))
    speaker.train()(**batch)[0].backward()
    for name, value in zip(folding.names, (2, 1, 3, 8), strict=True):
        moved = speaker.encoder.prosody[name].weight.grad.abs().sum(1) > 0
        assert moved.nonzero().flatten().tolist() == [value]


def test_of_some_utterances_nothing_is_known_in_training(acoustic):
    encoder = acoustic(encoder={"prosody": "emphasis", "prosody_dropout": 0.3}).encoder
    values = [torch.ones(2000, 3, dtype=torch.long)]
    assert encoder._known(values)[0].float().mean() == 1
    kept = encoder.train()._known(values)[0]
    assert 0.65 < float(kept.float().mean()) < 0.75 and bool((kept == kept[:, :1]).all())


def test_from_texts_through_training_and_back(tiny, tmp_path):
    """The YAML's line is all: the trained model's config says how its texts are read."""
    conf = changes(encoder={"blocks": 1, "inner": 16, "kernel": 3, "prosody": "boundary emphasis"})
    train_model("tts", tiny.places("tts", tmp_path / "exp", conf), "cpu")
    speaker = Text2Speech.from_dir(tmp_path / "exp", options=SynthesisOptions(griffin_lim_iters=1))
    folding = Folding(len(speaker.pipeline), ("boundary", "emphasis"))
    assert speaker.model.tts.encoder.folding == folding
    ids = speaker.pipeline.ids("ab *cd*")
    assert [folding.unfold(n)[1] for n in ids] == [[1, 0]] * 3 + [[3, 1]] * 2
    tables = [t.weight for t in speaker.model.tts.encoder.prosody.values()]
    assert (
        float(tables[0][3].detach().abs().max()) > 0 and float(tables[1].detach().abs().max()) == 0
    )
    assert len(speaker("ab *cd*").wave) > 0
    speaker.model.inference(torch.tensor([3, 4]), use_teacher_forcing=False)  # as stock's ids
