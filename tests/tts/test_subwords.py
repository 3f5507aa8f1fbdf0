"""A synthesiser whose tokens are sub-words."""

from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens
from espnet_ext.train.run import train_model
from tests.train.test_feeds import acoustic as changes


def test_from_texts_through_training_and_back(tiny, tmp_path):
    (tmp_path / "text").write_text("".join(f"u{n:02d} ab abc cab\n" for n in range(30)))
    wanted = VocabularyConfig(token_type="bpe", nbpe=9, bpe_mode="bpe")
    train_tokens([tmp_path / "text"], tmp_path / "tokens", wanted)
    places = tiny.places("tts", tmp_path / "exp", changes(), tokens=tmp_path / "tokens")
    train_model("tts", places, "cpu")
    speaker = Text2Speech.from_dir(tmp_path / "exp", options=SynthesisOptions(griffin_lim_iters=1))
    assert any(len(token.strip("▁")) > 1 for token in speaker.pipeline.tokens("abc cab"))
    spoken = speaker("abc cab")
    assert len(spoken.durations) == len(speaker.pipeline.ids("abc cab")) + 1
    assert len(spoken.wave) > 0
