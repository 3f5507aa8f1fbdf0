"""What has to hold for every generator: learning reaches it and its discriminators, with any number of bits."""

import pytest
import torch

from espnet_ext.vocoder.build import DEFAULTS, build

FRONT = {"fs": 8000, "n_fft": 256, "hop_length": 64, "n_mels": 20, "fmin": 60, "fmax": 3800}
CONVNEXT = {"n_fft": 256, "width": 16, "inner": 16, "blocks": 1}
GATED = {"layers": 2, "stacks": 1, "residual_channels": 4, "gate_channels": 4, "skip_channels": 4}
GATED |= {"upsample_scales": [8, 8]}
GENERATORS = {
    **{
        v: ("hifigan", {"version": v, "channels": 16, "upsample_scales": [8, 8]})
        for v in ("v1", "v2", "v3")
    },
    "istftnet": ("istftnet", {"channels": 16, "upsample_scales": [4, 4]}),
    "vocos": ("vocos", CONVNEXT),
    "harmonic": ("harmonic", {**CONVNEXT, "pitch_width": 8}),
    "parallel_wavegan": ("parallel_wavegan", GATED),
    **{kind: ("wavenet", {**GATED, "output": kind}) for kind in ("mixture", "softmax", "gaussian")},
    "waveglow": ("waveglow", {"flows": 5, "layers": 2, "channels": 8}),
}
JUDGES = {
    "mpd": {"periods": [2, 3], "channels": 2, "largest": 4},
    "msd": {"scales": 2, "channels": 16, "largest": 16},
    "mrd": {"channels": 2, "resolutions": [[64, 16]]},
}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", GENERATORS)
def test_learning_reaches_every_parameter(name, precision):
    torch.manual_seed(0)
    generator, conf = GENERATORS[name]
    losses = {"stft": 1.0, "resolutions": [[64, 16, 64]], "kind": "hinge" if "v" in name else "mse"}
    config = {"feats_extract_conf": FRONT, "discriminators": JUDGES, "model_conf": losses}
    if generator in ("wavenet", "waveglow"):
        config["discriminators"] = {}
    model = build({**DEFAULTS, **config, "generator": generator, "generator_conf": conf}).train()
    batch = {"speech": 0.1 * torch.randn(2, 256 + 64 * 12)}
    if name == "harmonic":
        batch["f0"] = torch.tensor([120.0, 0.0]).repeat_interleave(6).expand(2, -1)
    if name == "waveglow":  # it begins as no change at all, whatever it is given
        for coupling in model.generator.couplings:
            torch.nn.init.normal_(coupling.end.weight, std=0.1)
    for part, mine in ((model.generator, True), (model.discriminator, False)):
        if part is None:
            continue
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = model(**batch, forward_generator=mine)["loss"]
        loss.backward()
        assert loss.isfinite()
        found = {n: p.grad for n, p in part.named_parameters()}
        assert [n for n, grad in found.items() if grad is None or not grad.isfinite().all()] == []
        if mine and precision == torch.float32:
            assert [n for n, grad in found.items() if not grad.any()] == []
