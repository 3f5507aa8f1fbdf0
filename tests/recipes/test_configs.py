"""Every YAML of every recipe is read, and its model built and stepped once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
YAMLS = [
    *REPO.glob("egs2/*/*/conf/**/*.yaml"),
    *REPO.glob("egs2/TEMPLATE/**/*.yaml"),
    *REPO.glob("conf/**/*.yaml"),
]
TOKENS = ["<blank>", "<unk>", *(f"t{index}" for index in range(40)), "<sos/eos>"]


def names(kind: str) -> list[str]:
    """Configurations of a kind, seen from the repository."""
    found = sorted(str(path.relative_to(REPO)) for path in YAMLS)
    return [name for name in found if kind_of(name) == kind]


def kind_of(name: str) -> str:
    """asr, lm, tts, gan_tts, vocoder or decode, told by the keys; "" for what is none of them."""
    from espnet_ext.train.config import load_yaml

    config = load_yaml(REPO / name)
    if "tts" in config:
        gan = config["tts"] in ("vits", "jets", "joint_text2wav") or "optim2" in config
        return "gan_tts" if gan else "tts"
    kinds = {
        "vocoder": {"generator"},
        "asr": {"encoder", "decoder", "model"},
        "lm": {"lm"},
        "decode": {"beam_size", "speed_control_alpha"},
    }
    return next((kind for kind, keys in kinds.items() if keys & set(config)), "")


def test_every_yaml_is_of_some_kind():
    assert YAMLS
    assert names("") == []


def test_every_file_of_a_recipe_lies_where_it_is_looked_for():
    """A recipe's default configurations are there: those of its form, or else of the template."""
    for form in REPO.glob("egs2/*/*/run.sh"):
        task = form.parent.name
        template = (REPO / f"egs2/TEMPLATE/{task}/{task[:-1]}.sh").read_text()
        text = template + "\n" + form.read_text()
        chosen = dict(re.findall(r"^(\w*config)=(conf/\S+)", text, re.MULTILINE))
        if "\nuse_lm=false" in form.read_text():
            del chosen["lm_config"]
        missing = [path for path in chosen.values() if not (form.parent / path).is_file()]
        assert not missing, f"{form.relative_to(REPO)}: {missing}"


def read(name: str) -> dict[str, Any]:
    """A recipe's configuration: "librispeech/asr1/conf/train_asr.yaml"."""
    from espnet_ext.train.config import load_yaml

    return load_yaml(REPO / "egs2" / name)


@pytest.mark.parametrize(
    ("recipe", "hours", "filled", "seconds"),
    [("librispeech_100", 100.6, 0.88, 1926), ("librispeech", 960.9, 0.887, 3900)],
)
def test_an_update_sees_what_espnets_does(recipe: str, hours: float, filled: float, seconds: float):
    """Within a tenth, with the share of a batch that is speech as measured on the corpus' lengths."""
    config = read(f"{recipe}/asr1/conf/train_asr.yaml")
    update = config["batch_size"] * config["accum_grad"] * filled
    assert update == pytest.approx(seconds, rel=0.1)
    updates = hours * 3600 * 3.015 / update * config["max_epoch"]  # speeds 0.9, 1.0, 1.1
    comment = (REPO / f"egs2/{recipe}/asr1/conf/train_asr.yaml").read_text()
    told = int(
        re.findall(r"([0-9,]+)\s+(?:# )?updates\s+(?:# )?in all", comment)[0].replace(",", "")
    )
    assert told == pytest.approx(updates, rel=0.02)


@pytest.mark.parametrize("recipe", ["librispeech", "commonvoice", "wsj", "chime4"])
def test_batches_of_a_language_model_are_as_large_as_said(recipe: str):
    """On lengths as its sentences have: 5 to 50 sub-words (Common Voice: 5 to 25), or 40 to 240 characters."""
    import numpy as np

    from espnet_ext.train.sampler import BucketSampler

    config = read(f"{recipe}/asr1/conf/train_lm.yaml")
    shortest, longest = {"librispeech": (5, 50), "commonvoice": (5, 25)}.get(recipe, (40, 240))
    lengths = np.random.default_rng(0).integers(shortest, longest, 100_000).astype(float)
    sampler = BucketSampler(lengths, config["batch_size"], **config.get("sampler_conf", {}))
    assert lengths.sum() / len(sampler.batches(1)) > 0.7 * config["batch_size"]


def test_one_voice_has_the_text_encoder_of_many():
    """ESPnet's recipes for LJ Speech, JSUT and VCTK share it, and it is not the class' default."""
    keys = [
        "text_encoder_positionwise_conv_kernel_size",
        "text_encoder_attention_dropout_rate",
        "use_conformer_conv_in_text_encoder",
    ]
    for recipe in ("vctk", "ljspeech", "jsut"):
        params = read(f"{recipe}/tts1/conf/train_vits.yaml")["tts_conf"]["generator_params"]
        assert [params[key] for key in keys] == [3, 0.1, False]


@pytest.mark.parametrize("name", names("decode"))
def test_decoding_options(name: str):
    from espnet_ext.inference import speech2text, text2speech
    from espnet_ext.inference.decode import read_options

    cls = (
        speech2text.DecodeOptions if "asr" in Path(name).parts[2] else text2speech.SynthesisOptions
    )
    assert read_options(REPO / name, cls)


def weighed(name: str) -> Any:
    """A model for a GPU takes seconds here; those of the quick run are small or for a CPU."""
    small = "debug" in Path(name).name or Path(name).parts[1] in ("TEMPLATE", "an4", "mini")
    return pytest.param(name, marks=() if small else pytest.mark.slow)


@pytest.mark.parametrize(
    "name",
    [weighed(name) for kind in ("asr", "lm", "tts", "gan_tts", "vocoder") for name in names(kind)],
)
def test_a_model_is_built_and_stepped(name: str, tmp_path: Path):
    import torch

    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.train.optimise import Optimiser
    from espnet_ext.train.run import read_config

    torch.manual_seed(0)
    task = TASKS[kind_of(name)]
    config = read_config(task, REPO / name)
    prepare(config, task.feats_key is not None, tmp_path)
    model = task.build(config)
    if task.name == "gan_tts":
        return  # its forward takes a minute; building it checks the names and sizes
    if task.name == "vocoder":
        step_a_vocoder(model, config)
        return
    optimiser = Optimiser(model.parameters(), config)
    before = [p.detach().clone() for p in optimiser.parameters]
    found = batch(task.name)
    if (config.get("tts_conf") or {}).get(
        "adapters"
    ):  # only new voices learn, whose numbers follow
        found["sids"] += model.tts.spks - 1
        found["sids"].clamp_(max=model.tts.spks - 1)
    loss, _, _ = model(**found)
    loss.backward()
    assert torch.isfinite(loss) and optimiser.update() is not None
    assert any(not torch.equal(a, b) for a, b in zip(before, optimiser.parameters, strict=True))


def step_a_vocoder(model: Any, config: dict[str, Any]) -> None:
    """Both turns on as little as the discriminators can look at, and an update of each side."""
    import torch

    from espnet_ext.train.run import TASKS, optimisation

    config["scheduler2"] = None
    front = model.features
    model.batches.fill_(model.losses.discriminator_start)
    speech = 0.1 * torch.randn(1, front.n_fft + 10 * front.hop_length)
    optimisers, turns = optimisation(TASKS["vocoder"], model, config)
    assert len(turns) == (1 if model.discriminator is None else 2)
    more = {"f0": torch.tensor([[0.0, *[120.0] * 9]])} if config["generator"] == "harmonic" else {}
    for extra, which in turns:
        loss = model(speech, **more, **extra)["loss"]
        optimisers[which].backward(loss)
        assert torch.isfinite(loss) and optimisers[which].update() > 0


def prepare(config: dict[str, Any], features: bool, folder: Path) -> None:
    """What the stages before training put in: tokens, and statistics that change nothing."""
    import numpy as np

    config["token_list"] = TOKENS
    config["scheduler"] = (
        None  # schedules have tests of their own; some ask how many updates there will be
    )
    if not features:
        return
    mels = (config.get("feats_extract_conf") or {}).get("n_mels", 80)
    for key, size in (("normalize", mels), ("pitch_normalize", 1), ("energy_normalize", 1)):
        if config.get(key) == "global_mvn":
            stats = folder / f"{key}.npz"
            np.savez(stats, count=np.array(2.0), sum=np.zeros(size), sum_square=np.full(size, 2.0))
            config[f"{key}_conf"]["stats_file"] = str(stats)


def batch(task: str) -> dict[str, Any]:
    """Two utterances of noise and random tokens, the longer one first."""
    import torch

    lengths = torch.tensor([6, 4])
    text = torch.randint(2, len(TOKENS) - 1, (2, 6))
    text[1, 4:] = -1 if task == "asr" else 0
    found: dict[str, Any] = {"text": text, "text_lengths": lengths}
    if task != "lm":
        samples = torch.tensor([24000, 20000])
        found |= {"speech": 0.1 * torch.randn(2, 24000), "speech_lengths": samples}
    if task == "tts":
        frames = samples // 256 + 1
        found |= {"pitch": 5 + torch.rand(2, int(frames[0]), 1), "pitch_lengths": frames}
        found["sids"] = torch.tensor([[1], [2]])  # for models of many voices
    return found
