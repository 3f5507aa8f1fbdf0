"""What has to hold for every choice of the acoustic model's options: gradients, padding, half of the bits."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.tts.voices import Who

of = st.sampled_from
OPTIONS = st.fixed_dictionaries(
    {
        "encoder": st.fixed_dictionaries(
            {
                "positions": of(["relative", "rotary", "none"]),
                "width": of([0, 8]),
                "kernel": of([1, 3]),
                "prosody": of(["", "boundary emphasis"]),
            }
        ),
        "duration": st.fixed_dictionaries(
            {
                "kind": of(["regression", "flow"]),
                "variance_weight": of([0.1, 0.0]),
                "layers": of([2, 4]),
            }
        ),
        "pitch": st.fixed_dictionaries(
            {"level": of(["token", "frame", "none"]), "updates": of([0])}
        ),
        "energy": st.fixed_dictionaries(
            {"level": of(["token", "frame", "none"]), "updates": of([0])}
        ),
        "decoder": st.fixed_dictionaries(
            {
                "kind": of(["transformer", "flow"]),
                "width": of([0, 24]),
                "cross": st.booleans(),
                "postnet": of([0, 1, 2]),
                "ssim_weight": of([0.0, 0.5]),
            }
        ),
        "alignment": st.fixed_dictionaries({"learned": st.booleans()}),
        "spks": of([None, 3]),
        "langs": of([None, 2]),
        "spk_embed_dim": of([None, 4]),
        "use_gst": st.booleans(),
        "adapters": of([None, {"width": 4}]),
    }
)
some = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def voices(conf):
    """Of three utterances; the last one's is new where voices are added."""
    found = {}
    if conf["spks"] or conf["adapters"]:
        last = (conf["spks"] or 1) - (0 if conf["adapters"] else 1)
        found["sids"] = torch.tensor([[0], [0], [last]])
    if conf["langs"]:
        found["lids"] = torch.tensor([[0], [1], [1]])
    if conf["spk_embed_dim"]:
        found["spembs"] = torch.tensor([[1.0, 2, 3, 4], [0, 1, 0, -1], [-2, 1, 1, 0]])
    return found


def fitting(batch, conf):
    """What a model with these options is trained on."""
    found = {**batch, **voices(conf)}
    if not conf["alignment"]["learned"]:
        durations = [[3, 0, 6, 4, 2], [9, 6, 5, 0, 0], [4, 3, 2, 0, 0]]
        found["durations"] = torch.tensor(durations)
    if conf["encoder"]["prosody"]:  # token + 9 * (boundary + 4 * emphasis)
        marks = torch.tensor([[9, 27, 36, 45], [18, 9, 0, 0], [63, 0, 36, 0]])
        found["text"] = found["text"] + marks
    return found


@given(OPTIONS)
@some
def test_learning_reaches_every_parameter_in_any_precision(acoustic, batch, conf):
    """With the losses of 32 bits, within what fewer bits can say; of what is neither drawn nor aligned."""
    speaker, utterances = acoustic(**conf), fitting(batch, conf)
    drawn = "flow" in (conf["duration"]["kind"], conf["decoder"]["kind"])
    sure = speaker(**utterances)[1] if not (drawn or conf["alignment"]["learned"]) else {}
    for precision in (torch.float32, torch.bfloat16, torch.float16):
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = speaker.train()(**utterances)[0]
            with torch.no_grad():
                stats = speaker.eval()(**utterances)[1]
        loss.backward()
        learning = {n: p.grad for n, p in speaker.named_parameters() if p.requires_grad}
        assert [n for n, g in learning.items() if g is None or not g.isfinite().all()] == []
        for name, value in sure.items():
            assert float(stats[name]) == pytest.approx(float(value), rel=0.03, abs=0.01), name
        speaker.zero_grad()


@given(OPTIONS)
@some
def test_the_losses_of_a_batch_are_means_of_its_utterances(acoustic, batch, conf):
    """Over utterances, tokens or frames, none of them padding."""
    conf["duration"]["kind"] = "regression"
    conf["decoder"]["kind"] = "transformer"
    speaker, utterances = acoustic(**conf), fitting(batch, conf)
    frames, tokens = batch["feats_lengths"], batch["text_lengths"] + 1
    at = {"frame": frames, "token": tokens, "none": None}
    weights = dict.fromkeys(("mel", "mel_before", "ssim", "binarise"), frames)
    weights |= dict.fromkeys(("duration_spread", "forward_sum"), torch.ones(3))
    weights |= {"duration": tokens, "voicing": at[conf["pitch"]["level"]]}
    if conf["alignment"]["learned"]:  # else one token of the first utterance has no frames
        weights["energy"] = at[conf["energy"]["level"]]
    with torch.no_grad():
        together = speaker(**utterances)[1]
        alone = [speaker(**cut(utterances, row))[1] for row in range(3)]
    for name in set(together) & set(weights):
        weight = weights[name].float()
        mean = sum(float(a[name]) * w for a, w in zip(alone, weight.tolist(), strict=True))
        assert float(together[name]) == pytest.approx(mean / float(weight.sum()), abs=2e-5), name


def cut(utterances, row):
    """One of them, without padding."""
    ends = dict.fromkeys(("text", "durations"), int(utterances["text_lengths"][row]))
    ends |= dict.fromkeys(("feats", "pitch", "energy"), int(utterances["feats_lengths"][row]))
    ends["durations"] += 1
    return {
        name: value[row : row + 1, : ends[name]] if name in ends else value[row : row + 1]
        for name, value in utterances.items()
    }


@given(OPTIONS)
@some
def test_several_at_once_are_as_each_alone(acoustic, batch, conf):
    """Those that draw, too, where they draw from one seed."""
    speaker, utterances = acoustic(**conf), fitting(batch, conf)
    who = voices(conf)
    texts = [row[:n] for row, n in zip(utterances["text"], batch["text_lengths"], strict=True)]
    heard = torch.arange(20) < batch["feats_lengths"][:, None]
    recordings = {"feats": batch["feats"], "heard": heard} if conf["use_gst"] else {}
    torch.manual_seed(5)
    padded = pad_sequence(texts, batch_first=True)
    together = speaker.speak(padded, batch["text_lengths"], Who(**who, **recordings))
    for row, text in enumerate(texts):
        own = {name: value[row] for name, value in who.items()}
        if conf["use_gst"]:
            own["feats"] = batch["feats"][row][heard[row]]
        torch.manual_seed(5)
        alone = speaker.inference(text, **own)
        assert torch.equal(alone["duration"], together.durations[row, : len(text) + 1])
        frames = int(together.frames[row])
        assert torch.allclose(alone["feat_gen"], together.mel[row, :frames], atol=1e-4)
        assert not together.mel[row, frames:].any()
