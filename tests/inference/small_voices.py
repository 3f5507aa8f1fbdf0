"""Small synthesisers with made-up weights, in folders as training leaves them."""

from __future__ import annotations

import numpy as np
import torch
import yaml

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech

TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefghijklmnopqrstuvwxyz.,", "<sos/eos>"]
OPTIONS = SynthesisOptions(griffin_lim_iters=1)
_ALIGNED = {"encoder_blocks": 1, "decoder_blocks": 1, "encoder_inner": 16, "decoder_inner": 16}
_ACOUSTIC = {
    "encoder": {"blocks": 1, "inner": 16, "kernel": 3},
    "decoder": {"blocks": 1, "inner": 16, "kernel": 3, "postnet": 2, "postnet_width": 8},
    "pitch": {"layers": 1, "bins": 32},
    "energy": {"layers": 1, "bins": 32, "level": "frame"},
}
_FLOW = {**_ACOUSTIC, "decoder": {"kind": "flow", "blocks": 1, "inner": 16, "steps": 2}}
_FEATS = {"fs": 8000, "n_fft": 256, "hop_length": 80, "win_length": 256, "n_mels": 12}
KINDS = {
    "aligned": ("espnet_ext.tts.aligned_fastspeech:AlignedFastSpeech", _ALIGNED),
    "acoustic": ("espnet_ext.tts.acoustic:AcousticModel", _ACOUSTIC),
    "flow": ("espnet_ext.tts.acoustic:AcousticModel", _FLOW),
}


def config(folder, kind, **more):
    """A configuration; spectrograms are about as loud as speech."""
    random = np.random.default_rng(0)
    means = random.standard_normal(12) / 4 - 1
    np.savez(folder / "stats.npz", count=10, sum=10 * means, sum_square=10 * (means**2 + 0.1))
    name, conf = KINDS[kind]
    return {
        "token_list": TOKENS,
        "token_type": "char",
        "tts": name,
        "tts_conf": {"width": 16, **conf, **more},
        "feats_extract": "fbank",
        "feats_extract_conf": {**_FEATS, "fmin": 60, "fmax": 3800},
        "normalize": "global_mvn",
        "normalize_conf": {"stats_file": str(folder / "stats.npz")},
    }


def train(folder, kind, **more):
    """Leave config.yaml and valid.loss.ave.pth in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    found = config(folder, kind, **more)
    model = TASKS["tts"].build({**TASKS["tts"].defaults, **found})
    predictor = model.tts.duration if kind == "aligned" else model.tts.adaptor.duration
    with torch.no_grad():
        for layer in predictor.modules():
            if isinstance(layer, torch.nn.Linear) and layer.out_features == 1:
                layer.bias.fill_(1.6 if kind != "flow" else 0.0)
                layer.weight *= 1.3
    (folder / "config.yaml").write_text(yaml.safe_dump(found))
    torch.save(model.state_dict(), folder / "valid.loss.ave.pth")
    return folder


def voice(folder, kind, options=OPTIONS, **more):
    """A synthesiser."""
    return Text2Speech.from_dir(train(folder, kind, **more), options=options)
