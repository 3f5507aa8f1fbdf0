"""Decoders with a language model inside: deep and cold fusion.

In a YAML:
    decoder: espnet_ext.asr.fusion_decoder:ColdFusionDecoder
    decoder_conf: {lm_dir: exp/lm_x, decoder_conf: {num_blocks: 2}}
When training begins, `lm_dir` is read once: the model's configuration goes into the recogniser's config.yaml and its
weights into the recogniser's, so that a trained recogniser needs no other folder and stock ESPnet loads it.

Letters in shapes: N texts or hypotheses, L tokens, t tokens read so far, T encoder frames, D width of the decoder,
E width of the language model, F width of the fusion, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from espnet2.asr.decoder.abs_decoder import AbsDecoder
from torch import Tensor, nn

from espnet_ext.bridge.attention import BatchScorerInterface
from espnet_ext.bridge.choices import find_class
from espnet_ext.bridge.load import read_model_config
from espnet_ext.bridge.weights import read_weights
from espnet_ext.errors import UserError

_OURS = "espnet_ext.asr.decoder:CachedTransformerDecoder"


@dataclass(frozen=True)
class State:
    """What a search keeps of hypotheses: the decoder's part and the language model's."""

    decoder: Any
    lm: Any


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)
    }


def _load(module: nn.Module, path: str | Path, prefix: str) -> None:
    """Weights of a part of a model.

    Raises:
        UserError: if they do not fit.
    """
    try:
        module.load_state_dict(_part(read_weights(path), prefix))
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path}: its {prefix}* do not fit the decoder's configuration: {first}"
        ) from error


class FusionDecoder(AbsDecoder, BatchScorerInterface):  # type: ignore[misc]
    """What deep and cold fusion share: a decoder, a language model and two texts read side by side.

    Args:
        vocab_size: V.
        encoder_output_size: D.
        decoder: ESPnet's name or the dotted path of a decoder that gives its hidden states (`return_hs`).
        decoder_conf: its options.
        init_param: weights of a trained recogniser (.pth) with such a decoder, which training begins with.
        lm_dir: folder of the trained language model that training begins with.
        lm_model: its weights in there.
        lm, lm_conf: its class and options; taken from `lm_dir` when training begins.
        freeze_lm: the language model stays as it is.

    Raises:
        ValueError: if neither `lm_dir` nor `lm` is given.
        UserError: if the weights do not fit.
    """

    def __init__(
        self,
        vocab_size: int,
        encoder_output_size: int,
        decoder: str = _OURS,
        decoder_conf: dict[str, Any] | None = None,
        init_param: str | None = None,
        lm_dir: str | None = None,
        lm_model: str = "valid.loss.ave.pth",
        lm: str | None = None,
        lm_conf: dict[str, Any] | None = None,
        freeze_lm: bool = True,
    ) -> None:
        super().__init__()
        if lm is None:
            found = self.complete_conf({"lm_dir": lm_dir, "lm_model": lm_model})
            lm, lm_conf = found["lm"], found["lm_conf"]
        self.decoder = find_class("asr", "decoder", decoder)(
            vocab_size, encoder_output_size, **(decoder_conf or {})
        )
        self.lm = find_class("lm", "lm", lm)(vocab_size, **(lm_conf or {}))
        # a trained model is loaded where these files may no longer be: its own weights hold them
        if lm_dir is not None and (Path(lm_dir) / lm_model).is_file():
            _load(self.lm, Path(lm_dir) / lm_model, "lm.")
        if init_param is not None and Path(init_param).is_file():
            _load(self.decoder, init_param, "decoder.")
        if not isinstance(getattr(self.lm, "decoder", None), nn.Linear):
            raise UserError(
                f"lm: {lm} has no output layer `decoder`, expected a linear one of that name as ESPnet's models have"
            )
        self.freeze_lm = freeze_lm
        if freeze_lm:
            self.lm.requires_grad_(False)

    @classmethod
    def complete_conf(
        cls, conf: dict[str, Any], token_list: list[str] | None = None
    ) -> dict[str, Any]:
        """`decoder_conf` with the language model's class and options in it.

        Raises:
            UserError: if a file is missing or the language model is one over other tokens.
            ValueError: if no language model is named.
        """
        if conf.get("lm") is not None:
            return conf
        if conf.get("lm_dir") is None:
            raise ValueError(
                "found neither lm_dir nor lm, expected the folder of a trained language model"
            )
        folder, weights = Path(conf["lm_dir"]), conf.get("lm_model", "valid.loss.ave.pth")
        for path in (folder / weights, conf.get("init_param")):
            if path is not None and not Path(path).is_file():
                raise UserError(
                    f"{path}: no such file, named in decoder_conf: train that model first"
                )
        found = read_model_config("lm", folder / "config.yaml")
        if token_list is not None and list(found["token_list"]) != list(token_list):
            raise UserError(
                f"{folder}: a language model over other tokens ({len(found['token_list'])}) than the recogniser's "
                f"({len(token_list)}): train it with the same --tokens"
            )
        return {**conf, "lm": found["lm"], "lm_conf": dict(found["lm_conf"] or {})}

    def train(self, mode: bool = True) -> FusionDecoder:
        """A frozen language model has no dropout."""
        super().train(mode)
        self.lm.train(mode and not self.freeze_lm)
        return self

    def keep_attention(self, keep: bool = True) -> None:
        """See the decoder's own."""
        if hasattr(self.decoder, "keep_attention"):
            self.decoder.keep_attention(keep)

    def fuse(self, hidden: Tensor, lm_hidden: Tensor, lm_logp: Tensor) -> tuple[Tensor, Tensor]:
        """What the two know, put together.

        Args:
            hidden: what the decoder's output layer gets, (..., D).
            lm_hidden: what the language model's output layer gets, (..., E).
            lm_logp: its log-probabilities, (..., V).

        Returns:
            logits (..., V), and what made them (..., D or F).
        """
        raise NotImplementedError

    def _watched(self) -> tuple[list[Tensor], Any]:
        """Where the input of the language model's output layer goes while the handle is not removed."""
        seen: list[Tensor] = []
        return seen, self.lm.decoder.register_forward_pre_hook(
            lambda _, given: seen.append(given[0])
        )

    def forward(
        self,
        hs_pad: Tensor,
        hlens: Tensor,
        ys_in_pad: Tensor,
        ys_in_lens: Tensor,
        return_hs: bool = False,
    ) -> tuple[Any, Tensor]:
        """Scores of each next token, given the encoder's output and the text so far.

        Args:
            hs_pad, hlens: (N, T, D), (N,).
            ys_in_pad, ys_in_lens: (N, L) beginning with <sos>, (N,).
            return_hs: also return what the output layer gets.

        Returns:
            Logits (N, L, V), or (logits, hidden); and the lengths.
        """
        (_, hidden), lengths = self.decoder(hs_pad, hlens, ys_in_pad, ys_in_lens, return_hs=True)
        seen, handle = self._watched()
        with handle:
            logits, _ = self.lm(ys_in_pad, None)
        lm_hidden = seen[0].view(*ys_in_pad.shape, -1)  # some flatten texts for their output layer
        logits, fused = self.fuse(hidden, lm_hidden, logits.log_softmax(dim=-1))
        return ((logits, fused) if return_hs else logits), lengths

    # -- a token at a time ---------------------------------------------------------------------------------------

    def start(self, memory: Tensor, memory_lengths: Tensor | None = None) -> State:
        """The state before <sos>, of one hypothesis for each row of the encoder's output (N, T, D), (N,)."""
        return State(self.decoder.start(memory, memory_lengths), self.lm.start(len(memory)))

    def reorder(self, state: State, index: Tensor) -> State:
        """The hypotheses `index` (M,) of a state, such that the utterances they belong to ascend."""
        return State(self.decoder.reorder(state.decoder, index), self.lm.reorder(state.lm, index))

    def step(self, tokens: Tensor, state: State, return_hs: bool = False) -> tuple[Any, State]:
        """Add a token to each hypothesis: (N,) -> log-probabilities of the next (N, V) and the state."""
        (_, hidden), decoder = self.decoder.step(tokens, state.decoder, return_hs=True)
        seen, handle = self._watched()
        with handle:
            lm_logp, lm = self.lm.step(tokens, state.lm)
        logits, fused = self.fuse(hidden, seen[0].view(len(tokens), -1), lm_logp)
        logp = logits.float().log_softmax(dim=-1)
        return ((logp, fused) if return_hs else logp), State(decoder, lm)

    def score(self, ys: Tensor, state: Any, x: Tensor, return_hs: bool = False) -> Any:
        """Log-probabilities (V,) after one hypothesis (t,), and its state (see ESPnet's ScorerInterface)."""
        found, states = self.batch_score(ys[None], [state], x[None], return_hs)
        if return_hs:
            return found[0][0], found[1][0], states[0]
        return found[0], states[0]

    def batch_score(
        self, ys: Tensor, states: list[Any], xs: Tensor, return_hs: bool = False
    ) -> tuple[Any, list[Any]]:
        """The next token of hypotheses of one utterance (see ESPnet's BatchScorerInterface).

        Args:
            ys: (N, t), each beginning with <sos>.
            states: (decoder's, language model's) of each; None at first.
            xs: (N, T, D), the utterance's encoder output, the same N times.
            return_hs: also return what the output layer gets.
        """
        pairs = [(None, None) if state is None else state for state in states]
        before, lm_before = map(list, zip(*pairs, strict=True))
        (_, hidden), after = self.decoder.batch_score(ys, before, xs, return_hs=True)
        seen, handle = self._watched()
        with handle:
            lm_logp, lm_after = self.lm.batch_score(ys, lm_before, xs)
        logits, fused = self.fuse(hidden, seen[-1].view(len(ys), -1), lm_logp)
        logp = logits.log_softmax(dim=-1)
        return ((logp, fused) if return_hs else logp), list(zip(after, lm_after, strict=True))


class DeepFusionDecoder(FusionDecoder):
    """Deep fusion (Gulcehre et al. 2015, section 4.2).

    The language model's hidden state, through a gate that it opens itself, joins the decoder's before the output.

    A trained recogniser and a trained language model are joined (`init_param`, `lm_dir`) and trained on. The gate
    begins nearly shut and the new weights at 0, so that the first update starts from the recogniser as it was.
    """

    def __init__(self, vocab_size: int, encoder_output_size: int, **conf: Any) -> None:
        super().__init__(vocab_size, encoder_output_size, **conf)
        width = self.lm.decoder.in_features
        self.gate = nn.Linear(width, 1)
        self.from_lm = nn.Linear(width, vocab_size, bias=False)
        nn.init.zeros_(self.from_lm.weight)
        nn.init.constant_(self.gate.bias, -1.0)  # the paper's start

    def fuse(self, hidden: Tensor, lm_hidden: Tensor, lm_logp: Tensor) -> tuple[Tensor, Tensor]:
        """See FusionDecoder."""
        opened = torch.sigmoid(self.gate(lm_hidden)) * lm_hidden
        return self.decoder.output_layer(hidden) + self.from_lm(opened), hidden


class ColdFusionDecoder(FusionDecoder):
    """Cold fusion (Sriram et al. 2017, eq. 4).

    The decoder learns from the start beside what a language model says, which comes through a gate for each feature,
    and leaves to it what can be known without hearing. The language model speaks through its log-probabilities alone,
    so another one over the same tokens may take its place.

    Args:
        fusion_units: F.
    """

    def __init__(
        self, vocab_size: int, encoder_output_size: int, fusion_units: int = 256, **conf: Any
    ) -> None:
        super().__init__(vocab_size, encoder_output_size, **conf)
        width = encoder_output_size
        self.decoder.output_layer = nn.Identity()  # its hidden states go on instead
        self.read_lm = nn.Sequential(nn.Linear(vocab_size, fusion_units), nn.ReLU())
        self.gate = nn.Linear(width + fusion_units, fusion_units)
        self.mix = nn.Sequential(nn.Linear(width + fusion_units, fusion_units), nn.ReLU())
        self.output_layer = nn.Linear(fusion_units, vocab_size)

    def fuse(self, hidden: Tensor, lm_hidden: Tensor, lm_logp: Tensor) -> tuple[Tensor, Tensor]:
        """See FusionDecoder."""
        said = self.read_lm(lm_logp)
        opened = torch.sigmoid(self.gate(torch.cat((hidden, said), dim=-1))) * said
        mixed = self.mix(torch.cat((hidden, opened), dim=-1))
        return self.output_layer(mixed), mixed
