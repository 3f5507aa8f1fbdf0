"""Features, pitch and energy fit each other and the model, and training reads what was made as its YAML says."""

import json
from pathlib import Path

import pytest

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.train.experiment import read_config
from espnet_ext.train.extraction import RECORD, check_extraction
from espnet_ext.train.run import train_model
from espnet_ext.train.stats import collect_stats
from tests.tts.conftest import SMALL

REPO = Path(__file__).parents[2]
FOLDERS = ("egs2/*/tts1/conf/**/*train*", "conf/tts/*", "benchmarks/tts_quality/stock_*")
YAMLS = sorted(path for folder in FOLDERS for path in REPO.glob(f"{folder}.yaml"))
OURS = {
    "tts": "espnet_ext.tts.acoustic:AcousticModel",
    "tts_conf": SMALL,
    "pitch_normalize": None,
    "energy_normalize": None,
    "max_epoch": 1,
}
ALIGNED = {"max_epoch": 1}
STOCK = {"tts": "tacotron2", "tts_conf": {}}


@pytest.mark.parametrize(
    ("model", "change", "words"),
    [
        (OURS, "pitch_extract_conf.use_continuous_f0=true", "found true, expected false"),
        (OURS, "pitch_extract_conf.use_token_averaged_f0=true", "found true, expected false"),
        (OURS, "pitch_extract_conf.use_log_f0=false", "found false, expected true"),
        (OURS, "energy_extract_conf.use_token_averaged_energy=true", "found true, expected false"),
        (OURS, "pitch_extract_conf.hop_length=100", "found 100, expected 80"),
        (OURS, "pitch_extract_conf.fs=16000", "found 16000, expected 8000"),
        (ALIGNED, "pitch_extract_conf.use_token_averaged_f0=true", "found true, expected false"),
        (STOCK, "pitch_extract_conf.hop_length=100", "found 100, expected 80"),
        (STOCK, "energy_extract_conf.hop_length=100", "found 100, expected 80"),
    ],
)
def test_what_the_model_cannot_use_is_refused(tiny, tmp_path, model, change, words):
    places = tiny.places("tts", tmp_path, model, overrides=[change])
    name = change.partition("=")[0]
    for begin in (collect_stats, lambda *given: train_model(*given, "cpu")):
        with pytest.raises(UserError, match=f"^{name}: {words}"):
            begin("tts", places)


def test_what_is_left_out_has_its_default(tiny, tmp_path):
    """ESPnet's default of pitch is a continuous one."""
    front = {**tiny.base["tts"]["pitch_extract_conf"]}
    del front["use_continuous_f0"]
    places = tiny.places("tts", tmp_path, {**OURS, "pitch_extract_conf": front})
    with pytest.raises(UserError, match="use_continuous_f0: found true, expected false"):
        collect_stats("tts", places)


def check(tiny, folder, changes):
    places = tiny.places("tts", folder, changes)
    check_extraction("tts", read_config(TASKS["tts"], places.config))


def test_what_is_right_is_not_refused(tiny, tmp_path):
    front = tiny.base["tts"]["pitch_extract_conf"]
    aligned = {"pitch_extract_conf": {**front, "use_continuous_f0": True, "fs": "8k"}}
    no_fs = {"energy_extract_conf": {"hop_length": 80, "use_token_averaged_energy": False}}
    none = {"pitch_extract": None, "energy_extract": None}
    made_elsewhere = {"odim": 20, "feats_extract_conf": {}}
    for changes in (aligned, {**OURS, **no_fs}, {**OURS, **none}, {**OURS, **made_elsewhere}):
        check(tiny, tmp_path, changes)


@pytest.mark.parametrize("path", YAMLS, ids=lambda p: str(p.relative_to(REPO)))
def test_every_experiment_fits(path):
    task = "gan_tts" if any(word in path.name for word in ("vits", "jets", "joint")) else "tts"
    check_extraction(task, read_config(TASKS[task], path))


# -- what statistics were made with --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stats(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("extraction")
    collect_stats("tts", tiny.places("tts", folder, OURS, stats_dir=None))
    return folder


def start(tiny, stats, folder, *overrides):
    """Train for an epoch."""
    places = tiny.places("tts", folder, OURS, stats_dir=stats, overrides=overrides)
    return train_model("tts", places, "cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["pitch_extract_conf.f0min=60"], "pitch_extract_conf.f0min 80, expected 60"),
        (["feats_extract_conf.fmin=0"], "feats_extract_conf.fmin 60, expected 0"),
        (["energy_extract_conf.n_fft=512", "energy_normalize=global_mvn"],
         "energy_extract_conf.n_fft 256, expected 512"),
        ([f"{name}_extract_conf.hop_length=100" for name in ("feats", "pitch", "energy")],
         "hop_length 80, expected 100"),
    ],
)  # fmt: skip
def test_statistics_made_otherwise_are_refused(tiny, stats, tmp_path, changes, words):
    with pytest.raises(UserError, match=f"found statistics made with .*{words}"):
        start(tiny, stats, tmp_path, *changes)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["pitch_extract_conf.use_log_f0=true"],  # the default, written down
        ["feats_extract_conf.fs=8k", "pitch_extract_conf.fs=8k"],
        ["energy_extract_conf.n_fft=512"],  # its statistics are not read
        ["feats_extract_conf.fmin=0", "normalize=null"],
    ],
)
def test_statistics_made_likewise_are_taken(tiny, stats, tmp_path, changes):
    assert start(tiny, stats, tmp_path, *changes)


def test_statistics_without_a_record_are_taken(tiny, stats, tmp_path):
    found = json.loads((stats / RECORD).read_text())
    assert found["pitch_extract"]["use_log_f0"] is True
    assert found["feats_extract"]["hop_length"] == 80
    (tmp_path / "stats").mkdir()
    for split in ("train", "valid"):
        (tmp_path / "stats" / split).symlink_to(stats / split)
    assert start(tiny, tmp_path / "stats", tmp_path / "exp", "pitch_extract_conf.f0min=60")
