"""Packing and unpacking models, beside stock ESPnet."""

import os
import stat
import zipfile
from pathlib import Path

import pytest
import yaml

from espnet_ext.errors import UserError
from espnet_ext.export.archive import extract, unpack
from espnet_ext.export.pack import pack
from espnet_ext.export.upload import upload


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe's directory with a trained recogniser and a language model (small made-up files)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    outside = tmp_path.parent / f"{tmp_path.name}_outside"
    outside.mkdir()
    (outside / "far.txt").write_text("far")
    files = {
        "exp/asr/valid.acc.ave_2best.pth": "asr weights",
        "exp/asr/checkpoint.pth": "state",
        "exp/asr/RESULTS.md": "# RESULTS\n\n## exp/asr\n\n|dataset|Err|\n",
        "exp/asr_stats/train/feats_stats.npz": "statistics",
        "exp/lm/valid.loss.ave.pth": "lm weights",
        "data/token_list/bpe/bpe.model": "pieces",
        "dump/raw/train/wav.scp": "u1 secret.wav\n",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    Path("exp/asr/valid.acc.ave.pth").symlink_to("valid.acc.ave_2best.pth")
    config = {
        "bpemodel": "./data/token_list/bpe/bpe.model",
        "token_list": ["<blank>", "<unk>", "dump", "RESULTS.md", "<sos/eos>"],
        "normalize_conf": {"stats_file": str(tmp_path / "exp/asr_stats/train/feats_stats.npz")},
        "some_conf": {
            "extra": str(outside / "far.txt"),
            "number": 3,
            "text": "no file",
            "none": None,
        },
        "train_data_path_and_name_and_type": [["dump/raw/train/wav.scp", "speech", "sound"]],
        "output_dir": "exp/asr",
    }
    Path("exp/asr/config.yaml").write_text(yaml.safe_dump(config))
    lm = {"bpemodel": "data/token_list/bpe/bpe.model", "token_list": ["<blank>"]}
    Path("exp/lm/config.yaml").write_text(yaml.safe_dump(lm))
    return tmp_path


def check(found, out):
    """What anybody who unpacked the model has to find."""
    assert Path(found["asr_model_file"]).read_text() == "asr weights"
    config = yaml.safe_load(Path(found["asr_train_config"]).read_text())
    assert Path(config["bpemodel"]).read_text() == "pieces"
    assert Path(config["normalize_conf"]["stats_file"]).read_text() == "statistics"
    assert Path(config["some_conf"]["extra"]).read_text() == "far"
    assert all(str(out) in path for path in (config["bpemodel"], config["some_conf"]["extra"]))
    assert config["token_list"] == ["<blank>", "<unk>", "dump", "RESULTS.md", "<sos/eos>"]
    assert config["some_conf"]["text"] == "no file" and config["some_conf"]["number"] == 3


def test_two_models_from_elsewhere_keep_their_own_configurations(recipe, monkeypatch):
    """Past bug: outside the recipe's directory the language model's config.yaml took the recogniser's place."""
    (recipe / "other").mkdir()
    for path in recipe.glob("exp/*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({"token_list": config["token_list"]}))
    monkeypatch.chdir(recipe / "other")
    pack("asr", recipe / "exp/asr", "asr.zip", lm_dir=recipe / "exp/lm")
    found = unpack("asr.zip", "out")
    tokens = [
        len(yaml.safe_load(Path(found[key]).read_text())["token_list"])
        for key in ("asr_train_config", "lm_train_config")
    ]
    assert tokens == [5, 1]


def test_ours_reads_ours(recipe):
    names = pack("asr", "exp/asr", "exp/asr.zip", lm_dir="exp/lm")
    assert "exp/asr/RESULTS.md" in names
    assert any(n.startswith("external/") and n.endswith("/far.txt") for n in names)
    assert not any("wav.scp" in name or "checkpoint" in name for name in names)
    found = unpack("exp/asr.zip", "out")
    check(found, "out")
    assert set(found) == {"asr_model_file", "asr_train_config", "lm_file", "lm_train_config"}
    assert Path(found["lm_file"]).read_text() == "lm weights"
    readme = Path("out/README.md").read_text()
    assert "automatic-speech-recognition" in readme and "|dataset|Err|" in readme


def test_meta_says_what_stock_says(recipe):
    pack("asr", "exp/asr", "exp/asr.zip")
    with zipfile.ZipFile("exp/asr.zip") as archive:
        meta = yaml.safe_load(archive.read("meta.yaml"))
    assert meta["files"] == {"asr_model_file": "exp/asr/valid.acc.ave.pth"}
    assert meta["yaml_files"] == {"asr_train_config": "exp/asr/config.yaml"}
    assert isinstance(meta["timestamp"], float) and isinstance(meta["torch"], str)


def voice(recipe):
    """A synthesiser with a lexicon, and a vocoder."""
    Path("exp/tts").mkdir(parents=True)
    Path("exp/voc").mkdir(parents=True)
    Path("data/token_list/phn").mkdir(parents=True)
    Path("data/token_list/phn/lexicon.txt").write_text("# g2p_en\n")
    config = {
        "token_list": ["<blank>", "AH0"],
        "token_type": "phn",
        "g2p": "data/token_list/phn/lexicon.txt",
        "cleaner": "normalize",
        "feats_extract_conf": {"fs": 22050},
    }
    Path("exp/tts/config.yaml").write_text(yaml.safe_dump(config))
    Path("exp/tts/valid.loss.ave.pth").write_text("voice")
    Path("exp/voc/config.yaml").write_text("generator: vocos\n")
    Path("exp/voc/valid.mel.best.pth").write_text("vocoder")


def test_a_synthesiser_with_its_vocoder_lexicon_and_licence(recipe):
    voice(recipe)
    pack("tts", "exp/tts", "exp/tts.zip", vocoder_dir="exp/voc", licence="CC-BY-4.0")
    stock, ours = unpack("exp/tts.zip", "stock"), unpack("exp/tts.zip", "ours", own=True)
    assert set(stock) == {"train_config", "model_file"}
    assert set(ours) == {*stock, "vocoder_config", "vocoder_weights"}
    assert Path(ours["vocoder_weights"]).read_text() == "vocoder"
    assert yaml.safe_load(Path(ours["vocoder_config"]).read_text()) == {"generator": "vocos"}
    lexicon = yaml.safe_load(Path(ours["train_config"]).read_text())["g2p"]
    assert Path(lexicon).read_text() == "# g2p_en\n"
    meta = yaml.safe_load(Path("ours/meta.yaml").read_text())
    assert meta["licence"] == "CC-BY-4.0" and {"torch", "espnet", "python"} <= set(meta)
    card = Path("ours/README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "cc-by-4.0" and "text-to-speech" in head["tags"]
    for said in ("`cleaner`: `normalize`", "`sampling rate`: `22050`", "`torch`: `", "`vocoder_"):
        assert said in card
    ours = card.partition("`espnet_ext` takes all:\n\n```python\n")[2].partition("```")[0]
    assert 'from_pretrained("exp/tts.zip")' in ours or 'from_pretrained("tts.zip")' in ours
    compile(ours, "card", "exec")


def test_a_licence_that_no_hub_knows_keeps_its_name(recipe):
    pack("asr", "exp/asr", "exp/asr.zip", licence='Ours, "non-commercial"')
    unpack("exp/asr.zip", "out")
    head = yaml.safe_load(Path("out/README.md").read_text().split("---")[1])
    assert (head["license"], head["license_name"]) == ("other", 'Ours, "non-commercial"')


@pytest.mark.slow
def test_stock_unpack_reads_ours(recipe, tmp_path):
    stock = pytest.importorskip("espnet2.main_funcs.pack_funcs")
    pack("asr", "exp/asr", "exp/asr.zip", lm_dir="exp/lm", licence="apache-2.0")
    check(stock.unpack("exp/asr.zip", tmp_path / "stock"), tmp_path / "stock")
    voice(recipe)
    pack("tts", "exp/tts", "exp/tts.zip", vocoder_dir="exp/voc")
    found = stock.unpack("exp/tts.zip", tmp_path / "stock_tts")
    assert set(found) == {"train_config", "model_file"}


@pytest.mark.slow
def test_the_model_zoo_reads_ours(recipe, tmp_path):
    zoo = pytest.importorskip("espnet_model_zoo.downloader")
    pack("asr", "exp/asr", "exp/asr.zip")
    found = zoo.ModelDownloader(str(tmp_path / "cache")).unpack_local_file("exp/asr.zip")
    check(found, tmp_path / "cache")


@pytest.mark.slow
def test_ours_reads_stock(recipe):
    stock = pytest.importorskip("espnet2.main_funcs.pack_funcs")
    stock.pack(
        files={"asr_model_file": "exp/asr/valid.acc.ave.pth"},
        yaml_files={"asr_train_config": "exp/asr/config.yaml"},
        option=["data/token_list/bpe/bpe.model"],
        outpath="exp/stock.zip",
    )
    found = unpack("exp/stock.zip", "out")
    assert Path(found["asr_model_file"]).read_text() == "asr weights"
    config = yaml.safe_load(Path(found["asr_train_config"]).read_text())
    assert config["bpemodel"] == "out/data/token_list/bpe/bpe.model"


def test_synthesisers_have_their_own_names(recipe):
    Path("exp/asr/train.total_count.ave.pth").write_text("voice")
    for task in ("tts", "gan_tts"):
        pack(task, "exp/asr", "exp/tts.zip")
        found = unpack("exp/tts.zip", f"out_{task}")
        assert set(found) == {"model_file", "train_config"}
        assert Path(found["model_file"]).read_text() == "voice"


@pytest.mark.parametrize(
    "change, options, words",
    [
        ("exp/asr/valid.acc.ave_2best.pth", {}, "weights there: none"),
        ("data/token_list/bpe/bpe.model", {}, "bpemodel"),
        ("exp/asr/config.yaml", {}, "directory of a trained model"),
        (None, {"model": "checkpoint.pth"}, "state of a training run"),
        (None, {"model": "mine.pth"}, "mine.pth"),
        (None, {"options": ["nothing.txt"]}, "nothing.txt"),
        (None, {"task": "mt"}, "asr, tts"),
        (None, {"task": "tts", "lm_dir": "exp/lm"}, "drop --lm_dir"),
        (None, {"output": "exp/asr.tar"}, "ends in .zip"),
        (None, {"vocoder_dir": "exp/asr"}, "drop --vocoder_dir"),
        (None, {"licence": "Copyright\n(c)"}, "such as cc-by-4.0"),
    ],
)
def test_what_is_missing_is_named(recipe, change, options, words):
    if change:
        os.remove(change)
    if options.get("task") == "tts":
        Path("exp/asr/valid.loss.ave.pth").write_text("x")
    arguments = {"task": "asr", "model_dir": "exp/asr", "output": "exp/asr.zip", **options}
    with pytest.raises(UserError) as caught:
        pack(**arguments)
    assert words in str(caught.value)
    assert not list(Path("exp").glob("*.zip")) and not list(Path("exp").glob("*.tar"))


def evil(path, name, mode=0o644):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.yaml", "files: {}\nyaml_files: {}\n")
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, "boo")


@pytest.mark.parametrize("name", ["../boo", "/tmp/boo", "a/../../boo", "..\\boo", "C:/boo"])
def test_members_outside_the_target_are_refused(tmp_path, name):
    evil(tmp_path / "evil.zip", name)
    with pytest.raises(UserError, match="do not trust"):
        unpack(tmp_path / "evil.zip", tmp_path / "in/out")
    assert not list(tmp_path.rglob("boo")) and not (tmp_path / "in").exists()


def test_links_are_refused(tmp_path):
    evil(tmp_path / "evil.zip", "link", stat.S_IFLNK | 0o777)
    with pytest.raises(UserError, match="link"):
        extract(tmp_path / "evil.zip", tmp_path / "out")


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("hello", "x")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("meta.yaml", "- 1")
    for name, words in (("a", "not a whole zip"), ("b", "no meta.yaml"), ("c", "'files'")):
        with pytest.raises(UserError, match=words):
            unpack(tmp_path / f"{name}.zip", tmp_path / "out")
    with pytest.raises(UserError, match="no such file"):
        unpack(tmp_path / "d.zip", tmp_path / "out")


@pytest.mark.parametrize(("config", "kind"), [(None, "FileNotFoundError"), ("a: [", "ParserError")])
def test_a_configuration_that_is_not_there(tmp_path, config, kind):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("meta.yaml", "files: {}\nyaml_files: {asr_train_config: c.yaml}\n")
        if config is not None:
            archive.writestr("c.yaml", config)
    with pytest.raises(UserError, match=rf"found no configuration c\.yaml .*{kind}"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_upload_needs_a_name_and_without_a_token_sends_nothing(recipe, monkeypatch):
    pack("asr", "exp/asr", "exp/asr.zip")
    files = dict(upload("exp/asr.zip", "me/model"))
    assert {"meta.yaml", "README.md", "exp/asr/config.yaml"} <= set(files)
    assert files["exp/asr/valid.acc.ave.pth"] == len("asr weights")
    with pytest.raises(UserError, match="USER/NAME"):
        upload("exp/asr.zip", "model")


def test_upload_with_a_token_sends_the_files_as_packed(recipe, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    calls = {}

    class Api:
        def __init__(self, token):
            calls["token"] = token

        def create_repo(self, repository, private, exist_ok):
            calls["repository"] = (repository, private)

        def upload_folder(self, repo_id, folder_path, commit_message):
            config = yaml.safe_load((Path(folder_path) / "exp/asr/config.yaml").read_text())
            calls["bpemodel"] = config["bpemodel"]

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setenv("HF_TOKEN", "secret")
    pack("asr", "exp/asr", "exp/asr.zip")
    upload("exp/asr.zip", "me/model", private=True)
    assert calls == {
        "token": "secret",
        "repository": ("me/model", True),
        "bpemodel": "data/token_list/bpe/bpe.model",
    }
