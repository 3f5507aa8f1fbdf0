"""`augment: false` of a phase also took away the sentences that the auxiliary language-model loss learns from."""

import numpy as np

from espnet_ext.train.experiment import preprocessor

TEXT, AUGMENT = "espnet_ext.asr.preprocess:TextBatches", "espnet_ext.train.augment:Augment"


def _item(tmp_path, augment):
    (tmp_path / "text").write_text("s1 abcd\n")
    text = {"preprocessor": TEXT, "text": str(tmp_path / "text")}
    sound = {"preprocessor": AUGMENT, "fs": 8000, "volume": {"prob": 1.0, "low": 3, "high": 6}}
    config = dict.fromkeys(("bpemodel", "non_linguistic_symbols"))
    config |= {"token_type": "char", "token_list": ["<blank>", "<unk>", *"abcd", "<sos/eos>"]}
    config |= {"preprocessor": "espnet_ext.asr.preprocess:Chain"}
    config |= {"preprocessor_conf": {"steps": [text, sound]}}
    item = {"speech": np.full(800, 0.1, np.float32), "text": np.array([2, 3])}
    return preprocessor(config, True, augment)("u", item)


def test_the_sound_stays_and_the_sentence_comes(tmp_path):
    plain, changed = _item(tmp_path, False), _item(tmp_path, True)
    assert plain["lm_text"].tolist() == changed["lm_text"].tolist() == [2, 3, 4, 5]
    assert np.allclose(plain["speech"], 0.1) and not np.allclose(changed["speech"], 0.1)


def test_one_preprocessor_alone(tmp_path):
    config = dict.fromkeys(("token_type", "token_list", "bpemodel", "non_linguistic_symbols"))
    conf = {"preprocessor": AUGMENT, "preprocessor_conf": {"fs": 8000}}
    found = [preprocessor({**config, **conf}, True, augment) for augment in (True, False)]
    assert [made.train for made in found] == [True, False]
