"""What benchmarks/synthesis.py compares: models with made-up weights as files, stock ESPnet's engine and ours."""

from __future__ import annotations

import math
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RATE, HOP, BANDS, FRAMES = 22050, 256, 80, 250
CLEANER, G2P = "tacotron", "espeak_ng_english_us_vits"
FRONT = {"fs": RATE, "n_fft": 1024, "hop_length": HOP, "n_mels": BANDS, "fmin": 80, "fmax": 7600}
#: of egs2/ljspeech/tts1/conf/tuning/train_fastspeech2 of ESPnet
FASTSPEECH2 = {
    "adim": 384,
    "aheads": 2,
    "elayers": 4,
    "eunits": 1536,
    "dlayers": 4,
    "dunits": 1536,
    "positionwise_layer_type": "conv1d",
    "positionwise_conv_kernel_size": 3,
    "duration_predictor_layers": 2,
    "duration_predictor_chans": 256,
    "duration_predictor_kernel_size": 3,
    "postnet_layers": 5,
    "postnet_filts": 5,
    "postnet_chans": 256,
    "use_masking": True,
    "encoder_normalize_before": True,
    "decoder_normalize_before": True,
    "reduction_factor": 1,
    "pitch_predictor_layers": 5,
    "pitch_predictor_chans": 256,
    "pitch_predictor_kernel_size": 5,
    "pitch_predictor_dropout": 0.5,
    "pitch_embed_kernel_size": 1,
    "energy_predictor_layers": 2,
    "energy_predictor_chans": 256,
    "energy_predictor_kernel_size": 3,
    "energy_embed_kernel_size": 1,
}
SENTENCES = (
    "The old captain slowly turned his ship towards the harbour.",
    "She carried seven heavy baskets of apples to the market.",
    "Nobody in the village remembered when the bridge was built.",
    "A narrow path winds between the meadows and the river.",
    "Early in the morning the baker opens his small shop.",
    "They found the missing letters behind a painting of flowers.",
    "Every winter the lake freezes and children skate across it.",
    "His brother repaired the broken clock in less than hours.",
    "The music grew louder until the windows began to shake.",
    "After the storm the fields were covered with yellow leaves.",
    "We waited for the train but it never came back.",
    "My neighbour plants tomatoes and beans along the garden wall.",
)


def vocabulary() -> list[str]:
    """All phonemes of the sentences."""
    from espnet_ext.text.tokens import TextPipeline

    pipeline = TextPipeline("phn", ["<blank>", "<unk>", "<sos/eos>"], g2p=G2P, cleaner=CLEANER)
    found = {token for sentence in SENTENCES for token in pipeline.tokens(sentence)}
    return ["<blank>", "<unk>", *sorted(found), "<sos/eos>"]


def write_model(folder: Path, config: dict[str, Any], tokens: list[str]) -> tuple[Path, Path]:
    """config.yaml and weights of a synthesiser whose tokens last as long as 250 frames want it."""
    import torch

    from espnet_ext.bridge.tasks import TASKS
    from espnet_ext.train.config import complete, write_config

    text = {"token_type": "phn", "g2p": G2P, "cleaner": CLEANER, "token_list": tokens}
    plain = {"normalize": None, "feats_extract": "fbank", "feats_extract_conf": FRONT}
    config = complete(TASKS["tts"].defaults, {**config, **plain, **text})
    torch.manual_seed(0)
    model = TASKS["tts"].build(config)
    steady(model.tts, sum(map(len, SENTENCES)) / len(SENTENCES))
    folder.mkdir()
    write_config(folder / "config.yaml", config)
    torch.save(model.state_dict(), folder / "model.pth")
    return folder / "config.yaml", folder / "model.pth"


def steady(tts: Any, tokens: float) -> None:
    """Make every token as long as the others: FRAMES for a sentence of so many tokens."""
    import torch

    last = tts.duration_predictor.linear if hasattr(tts, "duration_predictor") else None
    if last is None:
        last = tts.adaptor.duration.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(math.log1p(round(FRAMES / (tokens + 1))))


def preset(path: str) -> dict[str, Any]:
    """What of a recipe's configuration makes the model."""
    from espnet_ext.train.config import load_yaml

    found = load_yaml(ROOT / path)
    return {key: found[key] for key in ("tts", "tts_conf")}


def write_vocoder(folder: Path, generator: dict[str, Any]) -> tuple[Path, Path]:
    """The same of a vocoder; loud enough to see a difference."""
    import torch
    import yaml

    from espnet_ext.vocoder.build import DEFAULTS, build

    config = {**DEFAULTS, "normalize": None, "discriminators": {}, "feats_extract_conf": FRONT}
    config |= generator
    torch.manual_seed(0)
    model = build(config)
    for name, parameter in model.named_parameters():
        if name.endswith("weight_g"):
            parameter.data.fill_(1.0)
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), folder / "model.pth")
    return folder / "config.yaml", folder / "model.pth"


def written(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Files of all models."""
    from espnet_ext.train.config import load_yaml

    tokens = vocabulary()
    vocos = load_yaml(ROOT / "egs2/ljspeech/voc1/conf/tuning/train_vocos.yaml")
    models = {
        "fastspeech2": {"tts": "fastspeech2", "tts_conf": FASTSPEECH2},
        "own": preset("egs2/ljspeech/tts1/conf/train_tts.yaml"),
        "fast": preset("conf/tts/fast.yaml"),
    }
    found = {name: write_model(folder / name, config, tokens) for name, config in models.items()}
    kinds = {key: vocos[key] for key in ("generator", "generator_conf")}
    found["vocos"] = write_vocoder(folder / "vocos", kinds)
    found["hifigan"] = write_vocoder(folder / "hifigan", {"generator": "hifigan"})
    return found


def stock(model: tuple[Path, Path], vocoder: tuple[Path, Path], device: str) -> Any:
    """espnet2.bin.tts_inference with ESPnet's own HiFi-GAN behind it."""
    import torch

    from espnet_ext.bridge.imports import espnet2

    engine = espnet2("bin.tts_inference").Text2Speech(*map(str, model), device=device)
    generator = espnet2("gan_tts.hifigan.hifigan").HiFiGANGenerator().eval()
    weights = torch.load(vocoder[1])
    own = {n.removeprefix("generator."): t for n, t in weights.items() if n.startswith("gen")}
    generator.load_state_dict(own)
    generator.remove_weight_norm()
    generator.to(device)
    engine.vocoder = lambda mel: generator.inference(mel)[:, 0]
    return engine


class Apart:
    """Stock in a process of its own, where nothing that ours does to memory can help it.

    Args:
        given: of `stock`.
        threads: of torch there.
    """

    def __init__(self, *given: Any, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.end, other = context.Pipe()
        self.busy = 0.0
        self.process = context.Process(target=_answer, args=(other, threads, given), daemon=True)
        self.process.start()

    def __call__(self, text: str) -> dict[str, Any]:
        """feat_gen (T, M) and wav (L,); `busy` grows by the seconds that its processor took."""
        self.end.send(text)
        found, busy = self.end.recv()
        self.busy += busy
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process."""
        self.end.close()
        self.process.join()


def _answer(end: Any, threads: int, given: tuple[Any, ...]) -> None:
    """Speak what comes, until nothing does."""
    import torch

    torch.set_num_threads(threads)
    engine = stock(*given)
    while True:
        try:
            text = end.recv()
        except EOFError:
            return
        started = time.process_time()
        spoken = engine(text)
        found = {key: spoken[key].cpu().numpy() for key in ("feat_gen", "wav")}
        end.send((found, time.process_time() - started))


def ours(model: tuple[Path, Path], vocoder: tuple[Path, Path], device: str) -> Any:
    from espnet_ext.inference.text2speech import Text2Speech
    from espnet_ext.inference.vocoder import Vocoder

    return Text2Speech(*model, device=device, vocoder=Vocoder(*vocoder, device=device))
