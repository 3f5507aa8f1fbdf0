"""Mask estimators learn from simulated scenes, whose speech and noise are known, before they train with a recogniser.

Letters in shapes: B batch, N samples, C microphones, F frequencies, T frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from espnet_ext.asr.multichannel import spatial
from espnet_ext.asr.multichannel.masks import MaskEstimator, ideal_masks
from espnet_ext.errors import UserError
from espnet_ext.progress import progress

if TYPE_CHECKING:
    from espnet_ext.audio.scenes import Surroundings

FRONTEND = "espnet_ext.asr.multichannel.frontend:BeamformingFrontend"
#: Under this the masks' names begin in a recogniser, so that `init_param` finds them.
PREFIX = "frontend.masks."


@dataclass(frozen=True)
class Pretraining:
    """How masks are learnt.

    Attributes:
        scenes: how many utterances are simulated, chosen evenly; each is then used several times.
        updates: of the weights.
        batch: scenes a batch.
        lr: learning rate of Adam, which falls as a cosine.
        seconds: scenes are cut to so much.
        channels: microphones of each scene that are kept, by lot; a mask is of one microphone.
        seed: of weights, order and lots.
    """

    scenes: int = 400
    updates: int = 1000
    batch: int = 16
    lr: float = 2e-3
    seconds: float = 4.0
    channels: int = 2
    seed: int = 0


def mask_estimator(config: Mapping[str, Any]) -> tuple[MaskEstimator, Tensor, int, int]:
    """The estimator of a recogniser's configuration, window and hop of its spectra, and the sampling rate.

    Raises:
        UserError: if its front end has none.
    """
    if config.get("frontend") != FRONTEND:
        raise UserError(
            f"frontend: found {config.get('frontend')!r}, expected {FRONTEND}: masks are its part"
        )
    from espnet_ext.asr.multichannel.frontend import BeamformingFrontend

    try:
        frontend = BeamformingFrontend(**config.get("frontend_conf", {}))
    except (TypeError, ValueError) as error:
        raise UserError(f"frontend_conf: {error}") from None
    rate = int(config.get("frontend_conf", {}).get("fs", 16000))
    return frontend.masks, frontend.get_buffer("window"), frontend.hop, rate


def simulated_pairs(
    data: Path, noise: str | Path, rate: int, options: Surroundings, how: Pretraining
) -> list[Tensor]:
    """Speech and noise of some utterances of a clean data directory, as microphones hear them: (2, N, C) each.

    Raises:
        UserError: no noise, no data directory, sound of another rate or that cannot be read.
    """
    import numpy as np

    from espnet_ext.audio.augment import seed_of
    from espnet_ext.audio.read import read
    from espnet_ext.audio.scenes import Noises, simulate
    from espnet_ext.datadir import read_table

    every = list(read_table(data / "wav.scp").items())
    chosen = every[:: max(1, len(every) // how.scenes)][: how.scenes]
    noises = Noises(noise, rate, options.stretch)
    found = []
    for utt, entry in progress(chosen, len(chosen), "scenes"):
        samples, own = read(entry, utt, end=how.seconds)
        if own != rate:
            raise UserError(f"utterance {utt}: found {own} Hz, expected {rate}: run format_audio")
        seed = seed_of(options.seed, how.seed, "masks", utt)
        scene = simulate(samples[:, 0], rate, noises, options, seed)
        lot = np.random.default_rng(seed).permutation(scene.speech.shape[1])[: how.channels]
        found.append(torch.from_numpy(np.stack([scene.speech[:, lot], scene.noise[:, lot]])))
    return found


def learn(
    masks: MaskEstimator, window: Tensor, hop: int, pairs: Sequence[Tensor], how: Pretraining
) -> list[float]:
    """Train on shares of the power in every bin, by cross-entropy; returns the loss of every update."""
    optimiser = torch.optim.Adam(masks.parameters(), lr=how.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / how.updates))
    )
    random = torch.Generator().manual_seed(how.seed)
    masks.train()
    losses = []
    for _ in progress(range(how.updates), how.updates, "masks"):
        lot = torch.randint(len(pairs), (how.batch,), generator=random)
        loss = mask_loss(masks, window, hop, [pairs[int(i)] for i in lot])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(masks.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def mask_loss(masks: MaskEstimator, window: Tensor, hop: int, pairs: Sequence[Tensor]) -> Tensor:
    """Mean cross-entropy of a bin of some scenes (2, N, C)."""
    lengths = torch.tensor([p.shape[1] for p in pairs])
    padded = nn.utils.rnn.pad_sequence([p.transpose(0, 1) for p in pairs], batch_first=True)
    speech, noise = (spatial.to_spectra(padded[:, :, i], window, hop) for i in (0, 1))
    frames = spatial.frames_of(lengths, window, hop)
    logits = masks.per_channel(speech + noise, frames)
    channels = speech.shape[1]
    inside = torch.arange(logits.shape[-1]) < frames.repeat_interleave(channels)[:, None]
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, ideal_masks(speech, noise), reduction="none"
    )
    return (each.mean(1) * inside).sum() / inside.sum()


def train_masks(
    data: Path,
    noise: str | Path,
    config: Mapping[str, Any],
    output: Path,
    options: Surroundings,
    how: Pretraining,
) -> list[float]:
    """Learn the masks of a recogniser's front end and write them as `init_param` of its training takes them.

    Args:
        data: data directory of speech close to the microphone.
        noise: folder of noise recordings.
        config: of the recogniser.
        output: the file, a .pth.
        options: what scenes are drawn from.
        how: how they are learnt.

    Returns:
        the loss of every update.

    Raises:
        UserError: see mask_estimator and simulated_pairs.
    """
    from espnet_ext.files import atomic_open

    torch.manual_seed(how.seed)
    masks, window, hop, rate = mask_estimator(config)
    losses = learn(masks, window, hop, simulated_pairs(data, noise, rate, options, how), how)
    with atomic_open(output, "wb") as stream:
        torch.save({PREFIX + name: value for name, value in masks.state_dict().items()}, stream)
    return losses
