"""What a vocoder's YAML says by mistake: it is named before anything is made, and nothing is dropped without a word."""

import numpy as np
import pytest
import yaml
from torch import nn

from espnet_ext.bin.command import call
from espnet_ext.bin.vocoder_stats import main as stats_main
from espnet_ext.bin.vocoder_train import main as train_main
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.train.experiment import read_config
from espnet_ext.vocoder.build import DEFAULTS, build, generator
from tests.vocoder.test_training import VOCODER, WAVENET


@pytest.fixture
def config(tmp_path):
    """Reads the small vocoder's YAML with changes, as its training does."""
    (tmp_path / "wanted.yaml").write_text(yaml.safe_dump(VOCODER))

    def read(*changes):
        return read_config(TASKS["vocoder"], tmp_path / "wanted.yaml", changes)

    return read


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("normalize=nope", "normalize: found 'nope', expected none or global_mvn, or null"),
        ("normalize_conf=3", "normalize_conf: found 3"),
        ("generator_conf=3", "generator_conf: found 3, expected `key: value` lines"),
        ("generator=[vocos]", "generator: found .* expected a name"),
        ("generator_conf.widht=3", r"generator_conf of vocos: found \['widht'\], .*'width'"),
        ("generator_conf.width=0", "width: found 0, expected a whole number, 1 or more"),
        ("generator_conf.blocks=0", "blocks: found 0, expected a whole number, 1 or more"),
        ("generator_conf.inner=wide", "inner: found 'wide', expected a whole number, 1 or more"),
        ("discriminators=3", "discriminators: found 3, expected `key: value` lines"),
        ("discriminators={mpd: 3}", "discriminators: mpd: found 3, expected `key: value` lines"),
        ("discriminators={mpd: {periods: 3}}", "mpd: periods: found 3, expected a list of whole"),
        ("discriminators={mpd: {spectral: 3}}", "mpd: spectral: found 3, expected true or false"),
        ("discriminators={mrd: {resolutions: [[1024]]}}", r"expected a list of \[n_fft, hop\]"),
        ("discriminators={msd: {channels: 3}}", "discriminators: msd: found {'channels': 3}"),
        ("model_conf=3", "model_conf: found 3"),
        ("model_conf={mel: lots}", "model_conf: mel: found 'lots', expected a number, 0 or more"),
        ("model_conf={mell: 1}", r"model_conf: found \['mell'\], expected some of .*'mel'"),
        ("model_conf={discriminator_start: -5}", "found -5, expected a whole number, 0 or more"),
        ("model_conf={stft: 1, resolutions: [[9, 3]]}", "n_fft, hop, win_length"),
        ("segment_frames=8.5", "segment_frames: found 8.5, expected a whole number"),
        ("mels=3", "mels: found 3, expected true, false or a directory"),
    ],
)
def test_a_mistake_is_named(config, change, words):
    with pytest.raises(UserError, match=words):
        build(config(change, "normalize=none") if "normalize" not in change else config(change))


@pytest.mark.parametrize(
    ("name", "conf", "words"),
    [
        ("hifigan", {"upsample_scales": 8}, "upsample_scales: found 8, expected a list of whole"),
        ("hifigan", {"resblock_dilations": [1, 3]}, r"such as \[\[1, 3\], \[1, 3\]\]"),
        ("hifigan", {"channels": 0}, "channels: found 0"),
        ("istftnet", {"upsample_scales": ["a"]}, "upsample_scales: found"),
        ("parallel_wavegan", {"context": -1}, "context: found -1, expected a whole number, 0"),
        ("wavenet", {"stacks": 0}, "stacks: found 0"),
        ("waveglow", {"early_every": 0}, "early_every: found 0"),
        ("waveglow", {"sigma": 0}, "sigma: found 0, expected a number above 0"),
    ],
)
def test_a_mistake_of_any_generator(name, conf, words):
    with pytest.raises(UserError, match=words):
        generator({**DEFAULTS, "generator": name, "generator_conf": conf})


class Own(nn.Module):
    """Somebody's generator, of whose numbers nothing is known."""

    def __init__(self, in_channels: int, hop_length: int, extra: int = -3, needed: "Unknown" = 0):  # noqa: F821
        super().__init__()
        self.extra = extra


def test_ones_own_generator_takes_what_it_likes():
    conf = {"generator": f"{__name__}:Own", "generator_conf": {"extra": -7}}
    assert generator({**DEFAULTS, **conf}).extra == -7


def test_discriminators_are_not_dropped_without_a_word(config):
    likely = {**config("normalize=none"), "generator": "wavenet", "generator_conf": WAVENET}
    with pytest.raises(UserError, match=r"discriminators: found mpd, mrd, expected {}.*likelihood"):
        build(likely)
    for unasked in ({}, DEFAULTS["discriminators"]):
        assert build({**likely, "discriminators": unasked}).discriminator is None


def test_normalize_none_is_no_statistics(config):
    for word in ("none", "null"):
        model = build({**config(f"normalize={word}"), "normalize_conf": {"stats_file": "no.npz"}})
        assert not model.mean.any() and (model.std == 1).all()


def test_statistics_of_nothing_are_not_written(config, tmp_path, capsys):
    config()
    (tmp_path / "wav.scp").write_text("")
    given = ["--config", str(tmp_path / "wanted.yaml"), "--train", str(tmp_path)]
    assert call(stats_main, [*given, "--output_dir", str(tmp_path / "stats")]) == 1
    assert f"{tmp_path} has no utterance" in capsys.readouterr().err
    assert not (tmp_path / "stats").exists()


@pytest.mark.parametrize(("total", "words"), [(0.0, "no spectrogram"), ([1.0] * 7, "7 mel bins")])
def test_statistics_of_something_else_are_refused(config, tmp_path, total, words):
    path = tmp_path / "feats_stats.npz"
    np.savez(path, count=0, sum=total, sum_square=total)
    with pytest.raises(UserError, match=f"mean of {words}, expected of 20.*vocoder_stats again"):
        build({**config(), "normalize_conf": {"stats_file": str(path)}})


def test_lacking_statistics_are_those_of_vocoder_stats(config, tiny, tmp_path, capsys):
    config()
    given = ["--config", str(tmp_path / "wanted.yaml"), "--train", str(tiny.train)]
    given += ["--valid", str(tiny.valid), "--output_dir", str(tmp_path / "out")]
    assert call(train_main, given) == 1
    assert (
        "no --stats_dir, expected the directory that vocoder_stats made" in capsys.readouterr().err
    )
    assert call(train_main, [*given, "--stats_dir", str(tmp_path / "no")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/no/train/feats_stats.npz: no such file" in said
    assert "run vocoder_stats first" in said
