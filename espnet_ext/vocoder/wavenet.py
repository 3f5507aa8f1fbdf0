"""WaveNet: sample after sample, each from all before it (van den Oord et al. 2016), conditioned on the spectrogram.

It learns by likelihood alone, without discriminators. Letters in shapes: B batch, M mel bins, F frames, C channels,
S skip channels, T samples = F * hop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.errors import UserError
from espnet_ext.vocoder.distributions import distribution
from espnet_ext.vocoder.gated import residual, sum_of_skips, through_gate
from espnet_ext.vocoder.options import Count, Size, Sizes
from espnet_ext.vocoder.parallel_wavegan import ConvInUpsample

_CHUNK = 1024  # samples whose conditioning is computed at once


class CausalLayer(nn.Module):
    """A gated convolution over the sample itself and one before it, `dilation` away."""

    def __init__(self, channels: int, gate: int, skip: int, mel: int, dilation: int) -> None:
        super().__init__()
        self.channels, self.dilation = channels, dilation
        self.conv = nn.Conv1d(channels, gate, 2, dilation=dilation)
        self.conv1x1_aux = nn.Conv1d(mel, gate, 1, bias=False)
        self.conv1x1_out = nn.Conv1d(gate // 2, channels + skip, 1)

    def forward(self, x: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T), (B, M, T) -> (B, C, T) for the next one, (B, S, T) for the sum."""
        heard = self.conv(F.pad(x, (self.dilation, 0))) + self.conv1x1_aux(mel)
        return residual(x, heard, self.conv1x1_out)


class WaveNet(nn.Module):
    """The generator.

    Args:
        in_channels: mel bins.
        hop_length: samples a frame; the scales multiply to it.
        output: distribution of a sample: mixture (of logistics, 16 bits), softmax (of mu-law classes) or gaussian.
        layers, stacks: causal layers, and how often their dilations begin again at 1.
        residual_channels, gate_channels, skip_channels: sizes.
        context: frames that are seen on either side before upsampling.
        upsample_scales: factors.
        mixtures: components of the mixture.
        classes: of the softmax.

    Raises:
        UserError: for sizes that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 80,
        hop_length: int = 256,
        output: str = "mixture",
        layers: Size = 30,
        stacks: Size = 3,
        residual_channels: Size = 128,
        gate_channels: Size = 256,
        skip_channels: Size = 128,
        context: Count = 2,
        upsample_scales: Sizes = (4, 4, 4, 4),
        mixtures: Size = 10,
        classes: Size = 256,
    ) -> None:
        super().__init__()
        if math.prod(upsample_scales) != hop_length or layers % stacks or gate_channels % 2:
            raise UserError(
                f"generator_conf: found upsample_scales {list(upsample_scales)}, {layers} layers in {stacks} stacks, "
                f"gate_channels {gate_channels}, expected the product hop_length = {hop_length}, as many layers in "
                "each stack, and an even gate"
            )
        self.hop_length = hop_length
        self.distribution = distribution(output, mixtures, classes)
        self.upsample_net = ConvInUpsample(in_channels, context, upsample_scales)
        self.first_conv = nn.Conv1d(1, residual_channels, 1)
        sizes = (residual_channels, gate_channels, skip_channels, in_channels)
        self.conv_layers = nn.ModuleList(
            CausalLayer(*sizes, 2 ** (number % (layers // stacks))) for number in range(layers)
        )
        self.last_conv_layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(skip_channels, skip_channels, 1),
            nn.ReLU(),
            nn.Conv1d(skip_channels, self.distribution.size, 1),
        )

    @property
    def receptive_field(self) -> int:
        """Samples that one sample is told from."""
        return 1 + sum(layer.dilation for layer in self._layers())

    def _layers(self) -> Iterator[CausalLayer]:
        for layer in self.conv_layers:
            assert isinstance(layer, CausalLayer)
            yield layer

    def outputs(self, heard: Tensor, mel: Tensor) -> Tensor:
        """What is said of each sample of (B, T) from those before it, mel (B, M, T) -> (B, size, T)."""
        x = self.first_conv(F.pad(heard[:, None, :-1], (1, 0)))
        return self.last_conv_layers(sum_of_skips(self.conv_layers, x, mel))

    def loss(self, mel: Tensor, wave: Tensor) -> Tensor:
        """Mean negative log-likelihood of a sample in nats; mel (B, M, F), wave (B, T)."""
        heard = self.distribution.heard(wave)
        out = self.outputs(heard, self.upsample_net(mel))
        return -self.distribution.log_p(out, heard).mean()

    @torch.no_grad()
    def forward(
        self, mel: Tensor, g: Tensor | None = None, uniform: Tensor | None = None
    ) -> Tensor:
        """(B, M, F), what is drawn with: (B, T, 2) in (0, 1) (None = the same every time) -> (B, 1, T)."""
        given = self.upsample_net(mel)
        if uniform is None:
            shape, source = (given.shape[2], 2), torch.Generator().manual_seed(0)
            drawn = torch.rand(shape, generator=source, dtype=torch.float64)
            uniform = drawn.clamp(1e-7, 1 - 1e-7).to(given).expand(len(mel), -1, -1)
        heard = Sampler(self)(given, uniform)
        return self.distribution.waveform(heard)[:, None]


class Sampler:
    """Draws sample after sample; what a layer will want again is kept, not computed again (Le Paine et al. 2016).

    Args:
        model: whose weights must not change afterwards.
    """

    def __init__(self, model: WaveNet) -> None:
        self.model, self.layers = model, list(model._layers())
        first = model.first_conv
        self.first = (first.weight[:, :, 0].T, _bias(first))
        self.past = [layer.conv.weight[:, :, 0].T.contiguous() for layer in self.layers]
        self.now = [layer.conv.weight[:, :, 1].T.contiguous() for layer in self.layers]
        self.out = [layer.conv1x1_out.weight[:, :, 0].T.contiguous() for layer in self.layers]
        self.aux = torch.cat([layer.conv1x1_aux.weight for layer in self.layers])
        self.aux_bias = torch.cat([_bias(layer.conv) for layer in self.layers])

    def __call__(self, mel: Tensor, uniform: Tensor) -> Tensor:
        """(B, M, T), (B, T, 2) -> (B, T) as the network hears it."""
        size = len(mel)
        queues = [mel.new_zeros(layer.dilation, size, layer.channels) for layer in self.layers]
        found, last, place = mel.new_empty(mel.shape[2], size), mel.new_zeros(size), 0
        for piece in mel.split(_CHUNK, dim=2):
            given = F.conv1d(piece, self.aux, self.aux_bias).permute(2, 0, 1)
            for row in given.unflatten(2, (len(self.layers), -1)).unbind(0):
                out = self._step(last[:, None], row.unbind(1), queues, place)
                last = found[place] = self.model.distribution.draw(out, uniform[:, place])
                place += 1
        return found.T

    def _step(
        self, last: Tensor, given: Sequence[Tensor], queues: Sequence[Tensor], place: int
    ) -> Tensor:
        """(B, 1), the sample before; given (B, gate) for each layer -> (B, size)."""
        x = torch.addmm(self.first[1], last, self.first[0])
        total: Tensor | float = 0.0
        for number, layer in enumerate(self.layers):
            slot = place % layer.dilation
            h = torch.addmm(given[number], queues[number][slot], self.past[number])
            h = h.addmm_(x, self.now[number])
            queues[number][slot] = x
            y = torch.addmm(_bias(layer.conv1x1_out), through_gate(h), self.out[number])
            total = total + y[:, layer.channels :]
            x = (x + y[:, : layer.channels]) * math.sqrt(0.5)
        assert isinstance(total, Tensor)
        total = total * math.sqrt(1.0 / len(self.layers))
        return self.model.last_conv_layers(total[..., None])[..., 0]


def _bias(layer: nn.Conv1d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
