"""Sentences without sound, phones and chains; and a training that uses all of it."""

import json

import numpy as np
import pytest
import torch

from espnet_ext.asr.preprocess import Chain, PhoneTargets, TextBatches
from espnet_ext.errors import UserError
from espnet_ext.train.data import drawing_from

TOKENS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "d", "<sos/eos>"]
GIVEN = {
    "token_type": "char",
    "token_list": TOKENS,
    "bpemodel": None,
    "non_linguistic_symbols": None,
}
TEXT = "espnet_ext.asr.preprocess:TextBatches"
PHONES = "espnet_ext.asr.preprocess:PhoneTargets"


@pytest.fixture
def sentences(tmp_path):
    path = tmp_path / "text"
    path.write_text("".join(f"s{n} {'ab cd'[n % 5 :]}{'d' * n}\n" for n in range(1, 20)))
    return path


@pytest.fixture
def phones(tmp_path):
    """Letters and their sounds."""
    folder = tmp_path / "phn"
    folder.mkdir()
    (folder / "tokens.txt").write_text("<blank>\n<unk>\nEY\nB\nIY\n<sos/eos>\n")
    (folder / "text.json").write_text(json.dumps({"token_type": "phn", "lexicon": True}))
    (folder / "lexicon.txt").write_text("# g2p: espeak:en\nab EY B\nba B EY\ncd IY\n")
    return folder


def test_a_sentence_follows_from_seed_epoch_and_utterance(sentences):
    add = TextBatches(True, str(sentences), longest=6, **GIVEN)

    def drawn(*seed):
        with drawing_from(*seed):
            return add("u", {"text": np.array([3])})["lm_text"].tolist()

    assert drawn(0, 1, 5) == drawn(0, 1, 5)
    found = {tuple(drawn(0, epoch, 5)) for epoch in range(30)}
    assert len(found) > 5 and max(map(len, found)) == 6
    assert all(3 <= token <= 6 or token == 2 for sentence in found for token in sentence)
    validation = TextBatches(False, [str(sentences)], **GIVEN)
    assert "lm_text" not in validation("u", {"text": np.array([3])})


def test_phones_are_those_of_the_text(phones):
    add = PhoneTargets(True, str(phones), **GIVEN)
    item = {"text": np.array([3, 4, 2, 5, 6, 2, 4, 3])}  # ab cd ba
    assert add("u", item)["phones"].tolist() == [2, 3, 4, 3, 2]
    assert add("v", dict(item))["phones"] is item["phones"]  # converted once


def test_a_chain_takes_one_step_after_the_other(sentences, phones):
    steps = [
        {"preprocessor": TEXT, "text": [str(sentences)]},
        {"preprocessor": PHONES, "phones": str(phones)},
    ]
    item = Chain(True, steps, **GIVEN)("u", {"text": np.array([3, 4])})
    assert set(item) == {"text", "lm_text", "phones"}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"text": ["x"]}], "expected `preprocessor: module:Class`"),
        ([{"preprocessor": TEXT, "text": ["x"], "texts": 3}], "does not fit .*texts"),
        ([{"preprocessor": TEXT, "text": "no/such/file"}], "no/such/file"),
        ([{"preprocessor": PHONES, "phones": "no/such/folder"}], "train_tokens"),
        ([{"preprocessor": "espnet_ext.asr.specaug:LateSpecAug"}], "AbsPreprocessor"),
    ],
)
def test_wrong_steps(steps, words):
    with pytest.raises(UserError, match=words):
        Chain(True, steps, **GIVEN)


def test_other_tokens_than_phones(tmp_path):
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
    (tmp_path / "text.json").write_text(json.dumps({"token_type": "char"}))
    with pytest.raises(UserError, match="type char, expected phn"):
        PhoneTargets(True, str(tmp_path), **GIVEN)


def test_a_model_trains_on_all_of_it_and_decodes(tiny, tmp_path, phones):
    """The whole way: data, preprocessors, objectives, schedules, weights written, our Speech2Text."""
    from espnet_ext.train.run import train_model

    text = tmp_path / "lm_text"
    text.write_text("s1 abcd\ns2 dcba\n")
    texts = "".join((folder / "text").read_text() for folder in (tiny.train, tiny.valid))
    words = sorted({line.split()[1] for line in texts.splitlines()})
    spelled = "".join(f"{word} {' '.join(word.upper())}\n" for word in words)
    (phones / "lexicon.txt").write_text(f"# g2p: espeak:en\n{spelled}")
    (phones / "tokens.txt").write_text("<blank>\n<unk>\nA\nB\nC\nD\n<sos/eos>\n")
    changes = {
        "decoder": "espnet_ext.asr.decoder:CachedTransformerDecoder",
        "model": "espnet_ext.asr.model:HybridModel",
        "model_conf": {
            "ctc_weight": {"from": 1.0, "to": 0.3, "updates": 6},
            "cr_ctc_weight": 0.2,
            "rdrop_weight": 0.5,
            "guided_attention_weight": {"from": 1, "to": 0, "updates": 4},
            "lm_text_weight": 0.1,
            "phone_weight": 0.1,
            "phones": 7,
            "regularisation_weight": 0.01,
            "report_cer": False,
            "report_wer": False,
        },
        "preprocessor": "espnet_ext.asr.preprocess:Chain",
        "preprocessor_conf": {
            "steps": [
                {"preprocessor": TEXT, "text": [str(text)]},
                {"preprocessor": PHONES, "phones": str(phones)},
            ]
        },
    }
    places = tiny.places("asr", tmp_path / "exp", changes)
    weights = train_model("asr", places, "cpu")[0]
    assert np.load(tmp_path / "exp/attention.npz").files
    lines = [json.loads(line) for line in (tmp_path / "exp/metrics.jsonl").read_text().splitlines()]
    train, valid = lines[:2]
    for name in ("cr_ctc", "rdrop", "guided_attention", "lm_text", "phone", "regularisation"):
        assert np.isfinite(train[f"loss_{name}"]), name
    assert "loss_phone" in valid and "loss_cr_ctc" not in valid
    state = torch.load(weights, weights_only=True)
    assert int(state["updates"]) > 6
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

    speech = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    ours = Speech2Text(tmp_path / "exp/config.yaml", weights, options=DecodeOptions(beam_size=3))
    assert ours.model.ctc_weight == 0.3
    assert isinstance(ours(speech)[0].text, str)
