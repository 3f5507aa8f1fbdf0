"""Durations and speaker embeddings from a data directory to training, synthesis and teacher forcing."""

import shutil

import kaldiio
import numpy as np
import pytest
import torch

from espnet_ext.bin import import_durations
from espnet_ext.datadir import read_table, validate, write_spk2utt, write_table
from espnet_ext.datadir.vectors import speaker_vectors, vector
from espnet_ext.errors import UserError
from espnet_ext.inference.synthesize import conditions_of, given_for, synthesize_sets
from espnet_ext.inference.teacher_forced import write_teacher_forced
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
from espnet_ext.train.feeds import wanted
from espnet_ext.train.run import train_model
from espnet_ext.train.stats import collect_stats
from tests.tts.conftest import SMALL
from tests.tts.test_textgrid import long, short

SMALL_MODEL = {
    "tts": "espnet_ext.tts.acoustic:AcousticModel",
    "tts_conf": SMALL,
    "pitch_normalize": None,
    "energy_normalize": None,
    "max_epoch": 1,
}


def acoustic(**conf):
    """Changes to the tiny configuration."""
    return {**SMALL_MODEL, "tts_conf": {**SMALL, **conf}}


NOT_LEARNED = acoustic(alignment={"learned": False})


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """The tiny corpus, with TextGrids of it in both formats."""
    root = tmp_path_factory.mktemp("feeds")
    for name, data in (("train", tiny.train), ("valid", tiny.valid)):
        shutil.copytree(data, root / name)
        seconds = read_table(data / "utt2dur")
        for place, (utt, text) in enumerate(read_table(data / "text").items()):
            each = (float(seconds[utt]) - 0.05) / len(text)
            rows = [(each * i, each * (i + 1), letter) for i, letter in enumerate(text)]
            rows.append((rows[-1][1], float(seconds[utt]), ""))
            (root / "grids" / name).mkdir(parents=True, exist_ok=True)
            file = root / "grids" / name / f"{utt}.TextGrid"
            file.write_text((long, short)[place % 2]({"words": rows[-1:], "phones": rows}))
    return root


def run(tiny, root, *more):
    config = root / "front.yaml"
    if not config.is_file():
        tiny.places("tts", root, NOT_LEARNED).config.rename(config)
    given = ["--textgrids", root / "grids", "--tokens", tiny.tokens, "--config", config]
    return import_durations.main([str(root), "train", "valid", *map(str, given), *more])


def test_a_model_that_does_not_align_is_trained_on_textgrids(tiny, folders, tmp_path):
    """From the aligner's files to a trained model, its speech and its spectrograms of recordings."""
    where = {"train": [folders / "train"], "valid": [folders / "valid"]}
    with pytest.raises(UserError, match=r"train/durations: no such table.*import_durations"):
        train_model("tts", tiny.places("tts", tmp_path / "no", NOT_LEARNED, **where), "cpu")
    assert run(tiny, folders) == 0
    write_spk2utt(folders / "valid")
    validate(folders / "valid")
    table, texts = (read_table(folders / "valid" / name) for name in ("durations", "text"))
    samples = read_table(folders / "valid/utt2num_samples")
    for utt, numbers in table.items():
        frames = [int(n) for n in numbers.split()]
        assert len(frames) == len(texts[utt]) + 1 and sum(frames) == int(samples[utt]) // 80 + 1
    train_model("tts", tiny.places("tts", tmp_path / "exp", NOT_LEARNED, **where), "cpu")
    speaker = Text2Speech.from_dir(tmp_path / "exp", options=SynthesisOptions(griffin_lim_iters=1))
    assert speaker.model.tts.aligner is None
    write_teacher_forced(speaker, folders, ["valid"], tmp_path / "mels", 1, 1)
    assert len(read_table(tmp_path / "mels/valid/mels.scp")) == 3
    durations = folders / "train/durations"
    durations.write_text(durations.read_text().replace("train-03 ", "train-03 4 "))
    with pytest.raises(UserError, match="utterance train-03, expected 5 whole numbers"):
        train_model("tts", tiny.places("tts", tmp_path / "no", NOT_LEARNED, **where), "cpu")


_FEATS = {"fs": 8000, "n_fft": 256, "hop_length": 80}
_PREDICTORS = {
    f"{name}_{what}": 1 if what.endswith("layers") else 4
    for name in ("duration", "pitch", "energy")
    for what in ("predictor_layers", "predictor_chans")
}
FASTSPEECH = {
    "tts": "fastspeech2",
    "tts_conf": {
        **{"adim": 8, "aheads": 2, "elayers": 1, "eunits": 8, "dlayers": 1, "dunits": 8},
        **{"postnet_layers": 1, "postnet_chans": 8, "reduction_factor": 1, **_PREDICTORS},
    },
    "pitch_extract_conf": {**_FEATS, "use_token_averaged_f0": True, "reduction_factor": 1},
    "energy_extract_conf": {**_FEATS, "use_token_averaged_energy": True, "reduction_factor": 1},
    "max_epoch": 1,
    "best_model_criterion": [["valid", "loss", "min"]],
}


def test_stock_fastspeech_is_trained_on_them_with_pitch_by_token(tiny, folders, tmp_path):
    """Whose front ends average over each token's frames, when the statistics are collected, too."""
    root = tmp_path / "copy"
    shutil.copytree(folders, root)
    run(tiny, root)
    places = {"train": [root / "train"], "valid": [root / "valid"]}
    stats = tmp_path / "stats"
    collect_stats("tts", tiny.places("tts", stats, FASTSPEECH, **places, stats_dir=None))
    pitch = kaldiio.load_scp(str(stats / "valid/collect_feats/pitch.scp"))
    for utt, numbers in read_table(root / "valid/durations").items():
        assert len(pitch[utt]) == len(numbers.split())
    exp = tiny.places("tts", tmp_path / "exp", FASTSPEECH, **places, stats_dir=stats)
    (final,) = train_model("tts", exp, "cpu")
    assert final.name == "valid.loss.ave.pth"
    speaker = Text2Speech.from_dir(tmp_path / "exp", options=SynthesisOptions(griffin_lim_iters=1))
    write_teacher_forced(speaker, root, ["valid"], tmp_path / "mels", 1, 1)
    assert len(read_table(tmp_path / "mels/valid/mels.scp")) == 3


def test_marks_of_emphasis_are_no_tokens_where_a_model_reads_them(tiny, folders, tmp_path):
    """Statistics, durations and training count the same tokens."""
    root = tmp_path / "copy"
    shutil.copytree(folders, root)
    (root / "front.yaml").unlink(missing_ok=True)
    texts = read_table(root / "valid/text")
    write_table(root / "valid/text", {utt: f"*{text}*" for utt, text in texts.items()})
    conf = acoustic(
        alignment={"learned": False}, encoder={**SMALL["encoder"], "prosody": "emphasis"}
    )
    where = {"train": [root / "train"], "valid": [root / "valid"]}
    tiny.places("tts", root, conf).config.rename(root / "front.yaml")
    assert run(tiny, root) == 0
    stats = tmp_path / "stats"
    collect_stats("tts", tiny.places("tts", stats, conf, **where, stats_dir=None))
    shapes = read_table(next((stats / "valid").glob("text_shape.*")))
    assert shapes == {utt: str(len(text)) for utt, text in texts.items()}
    train_model("tts", tiny.places("tts", tmp_path / "exp", conf, **where, stats_dir=stats), "cpu")


def test_tables_that_lack_an_utterance_are_said(tiny, folders, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(folders, root)
    for name in ("utt2num_samples", "wav.scp"):
        table = root / "valid" / name
        table.write_text("".join(table.read_text().splitlines(True)[:-1]))
    with pytest.raises(UserError, match="valid-02: found no length in utt2num_samples"):
        run(tiny, root)
    with pytest.raises(UserError, match=r"valid-02: found no entry in wav\.scp"):
        import_durations.main([str(root), "valid", "--teacher", str(tiny.model("tts"))])


def test_phones_of_another_text_are_named_or_left_out(tiny, folders, tmp_path, capsys):
    root = tmp_path / "copy"
    shutil.copytree(folders, root)
    grid = root / "grids/valid/valid-01.TextGrid"
    grid.write_text(
        grid.read_text()
        .replace('"a"', '"x"')
        .replace('"b"', '"x"')
        .replace('"c"', '"x"')
        .replace('"d"', '"x"')
    )
    with pytest.raises(UserError, match="valid: utterance valid-01: found phone 'x'"):
        run(tiny, root)
    assert run(tiny, root, "--skip_bad") == 0
    assert "1 left out" in capsys.readouterr().out
    assert list(read_table(root / "valid/durations")) == ["valid-00", "valid-02"]


def test_durations_of_a_teacher(tiny, tmp_path):
    """As it aligns in training, with as many frames as the recording has."""
    teacher = tiny.model("tts")
    shutil.copytree(tiny.valid, tmp_path / "valid")
    import_durations.main([str(tmp_path), "valid", "--teacher", str(teacher)])
    table, samples = (read_table(tmp_path / f"valid/{n}") for n in ("durations", "utt2num_samples"))
    model = Text2Speech.from_dir(teacher).model
    from espnet_ext.text.tokens import TextPipeline
    from espnet_ext.train.data import Collate, read_data_dir

    data = read_data_dir(tiny.valid, TextPipeline.from_dir(tiny.tokens))
    for index, utt in enumerate(data.ids):
        model(**Collate(0)([data[index]])[1])
        frames = [int(n) for n in table[utt].split()]
        assert frames == model.tts.aligner.attn[0].sum(0).long().tolist()
        assert sum(frames) == int(samples[utt]) // 80 + 1
    untaught = type("NoAligner", (), {"model": type("M", (), {"tts": model.normalize})})
    from espnet_ext.inference.durations import Teacher

    with pytest.raises(UserError, match="does not align by itself"):
        Teacher(untaught, tmp_path / "valid")


# -- speaker embeddings -----------------------------------------------------------------------------------------


@pytest.fixture
def vectors(tiny, tmp_path):
    """The tiny corpus with two speakers; of valid one utterance has no vector of its own."""
    for name, data in (("train", tiny.train), ("valid", tiny.valid)):
        shutil.copytree(data, tmp_path / name)
        utts = sorted(read_table(data / "text"))
        write_table(tmp_path / name / "utt2spk", dict.fromkeys(utts, name))
        made = {u: np.full(4, number, np.float32) for number, u in enumerate(utts, 1)}
        ark = tmp_path / f"{name}.ark"
        kaldiio.save_ark(str(ark), made, scp=str(tmp_path / name / "xvector.scp"))
    table = tmp_path / "valid/xvector.scp"
    table.write_text("".join(table.read_text().splitlines(True)[:-1]))
    return tmp_path


def test_an_utterance_without_a_vector_has_its_speakers_mean(vectors):
    found = speaker_vectors(vectors / "valid")
    assert [vector(found[f"valid-{i:02d}"])[0] for i in range(3)] == [1.0, 2.0, 1.5]
    own = read_table(vectors / "valid/xvector.scp")
    write_table(vectors / "valid/spk_xvector.scp", {"valid": own["valid-01"]})
    assert vector(speaker_vectors(vectors / "valid")["valid-02"])[0] == 2.0
    given = given_for(conditions_of(vectors / "valid"), "valid-02")
    assert torch.equal(given["spembs"], torch.full((4,), 2.0))
    write_table(vectors / "valid/spembs.scp", own)
    with pytest.raises(UserError, match=r"spembs\.scp and xvector\.scp, expected one"):
        speaker_vectors(vectors / "valid")


def test_vectors_reach_training_and_synthesis(tiny, vectors, tmp_path):
    where = {"train": [vectors / "train"], "valid": [vectors / "valid"]}
    conf = acoustic(spk_embed_dim=4)
    train_model("tts", tiny.places("tts", tmp_path / "exp", conf, **where), "cpu")
    speaker = Text2Speech.from_dir(tmp_path / "exp", options=SynthesisOptions(griffin_lim_iters=1))
    ids = torch.tensor([3, 4, 5])
    one, other = (speaker.model.inference(ids, spembs=v, use_teacher_forcing=False)["feat_gen"]
                  for v in (torch.ones(4), torch.tensor([1.0, -1.0, 1.0, -1.0])))  # fmt: skip
    assert one.shape != other.shape or not torch.allclose(one, other)
    synthesize_sets(speaker, vectors, ["valid"], tmp_path / "made", 1, 1)
    assert len(read_table(tmp_path / "made/valid/wav.scp")) == 3


def test_a_model_without_vectors_is_said(tiny, tmp_path):
    places = tiny.places("tts", tmp_path / "exp", acoustic(spk_embed_dim=4))
    with pytest.raises(
        UserError, match=r"no speaker embedding for utterance train-00.*xvector\.scp"
    ):
        train_model("tts", places, "cpu")


def test_a_model_that_asks_for_neither_gets_neither(tiny, vectors, tmp_path, monkeypatch):
    """VITS' forward, for one, takes no durations."""
    from espnet_ext.train import run as training

    seen = []
    monkeypatch.setattr(training, "describe", lambda m, data, n: seen.append(set(data.extra)) or "")
    (vectors / "train/durations").write_text("nonsense 1\n")
    where = {"train": [vectors / "train"], "valid": [vectors / "valid"]}
    train_model("tts", tiny.places("tts", tmp_path / "exp", acoustic(), **where), "cpu")
    assert seen == [{"pitch"}]


JOINT = "espnet_ext.tts.joint:JointModel"


@pytest.mark.parametrize(
    ("tts", "conf", "names"),
    [
        ("espnet_ext.tts.acoustic:AcousticModel", {}, ()),
        (
            "espnet_ext.tts.acoustic:AcousticModel",
            {"alignment": {"learned": False}},
            ("durations",),
        ),
        ("espnet_ext.tts.acoustic:AcousticModel", {"spk_embed_dim": 8}, ("spembs",)),
        (JOINT, {"acoustic": {"alignment": {"learned": False}}}, ("durations",)),
        (JOINT, {"alignment": {"learned": False}}, ()),
        ("fastspeech2", {"spk_embed_dim": 8}, ("durations", "spembs")),
        ("tacotron2", {}, ()),
        ("espnet_ext.tts.aligned_fastspeech:AlignedFastSpeech", {}, ()),
        ("vits", {"generator_params": {"spk_embed_dim": 8}}, ("spembs",)),
        ("jets", {}, ()),
    ],
)
def test_models_say_what_they_are_to_be_fed(tts, conf, names):
    task = "gan_tts" if tts in (JOINT, "vits", "jets") else "tts"
    assert wanted(task, {"tts": tts, "tts_conf": conf}) == names
    assert wanted("asr", {"tts": tts, "tts_conf": conf}) == ()
