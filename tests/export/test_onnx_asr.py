"""A recogniser's ONNX graphs compute what torch does, part by part and together."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from espnet_ext.asr.decoder import CachedTransformerDecoder
from espnet_ext.asr.encoder import CnnConformerEncoder
from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError
from espnet_ext.export.onnx_asr import FrontEnd, decoder_graphs, encoder_graph
from espnet_ext.export.onnx_graph import Graph, halve, quantise, write_graph
from espnet_ext.export.onnx_model import export_onnx
from espnet_ext.inference.onnx_decoder import OnnxDecoderScorer
from espnet_ext.inference.onnx_session import Session
from espnet_ext.inference.onnx_speech2text import OnnxSpeech2Text
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.lm.kneser_ney import train
from espnet_ext.lm.ngram import save_ngram

onnx = pytest.importorskip("onnx", reason="the extra espnet_ext[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="the extra espnet_ext[onnx] is not installed")

TOKENS = ["<blank>", "<unk>", "<space>", *"abcdefg", "<sos/eos>"]
CONFIG = {
    "token_list": TOKENS,
    "token_type": "char",
    "frontend": "default",
    "frontend_conf": {
        "fs": 8000,
        "n_fft": 256,
        "win_length": 200,
        "hop_length": 80,
        "n_mels": 20,
    },
    "normalize": "utterance_mvn",
    "normalize_conf": {"norm_vars": True},
    "encoder": "espnet_ext.asr.encoder:CnnConformerEncoder",
    "encoder_conf": {
        "output_size": 16,
        "num_blocks": 2,
        "attention_heads": 2,
        "linear_units": 32,
        "kernel": 5,
        "channels": 4,
    },
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 2},
    "model_conf": {"ctc_weight": 0.3},
}
LM_SIZES = {"pos_enc": None, "embed_unit": 8, "att_unit": 16, "head": 2, "unit": 16, "layer": 1}


def encoder(block, positions, **more):
    torch.manual_seed(0)
    sizes = {"num_blocks": 2, "attention_heads": 2, "linear_units": 24, "kernel": 5, "channels": 4}
    made = CnnConformerEncoder(10, 16, block=block, positions=positions, **sizes, **more).eval()
    return SimpleNamespace(preencoder=None, encoder=made, postencoder=None, ctc=None)


@pytest.mark.parametrize(
    ("block", "positions"),
    [
        ("conformer", "rotary"),
        ("conformer", "relative"),
        ("e_branchformer", "absolute"),
        ("transformer", "learned"),
    ],
)
def test_an_encoder_of_any_batch_and_length(block, positions, tmp_path):
    whole = encoder(block, positions)
    assert write_graph(encoder_graph(whole, 10), tmp_path) <= 1e-4
    session = Session(tmp_path / "encoder.onnx", threads=1)
    feats, lengths = torch.randn(3, 77, 10), torch.tensor([77, 30, 1])
    found, after = session(feats=feats.numpy(), lengths=lengths.numpy())
    for row, length in enumerate(lengths.tolist()):
        with torch.no_grad():
            alone = whole.encoder(feats[row : row + 1, :length], torch.tensor([length]))[0][0]
        assert after[row] == len(alone)
        assert np.allclose(found[row, : len(alone)], alone.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("positions", "chunk"),
    [
        ("rotary", {"sizes": [4], "left": 2}),  # trained so, exported for whole utterances
        ("rotary", {"sizes": [4], "left": 2, "decode": 4}),
        ("relative", {"sizes": [4], "decode": 3}),
        ("absolute", {"sizes": [4], "left": 0, "decode": 1}),
    ],
)
def test_an_encoder_in_chunks(positions, chunk, tmp_path):
    """Its masks and its convolutions keep within chunks, as they do in torch."""
    model, whole = (encoder("conformer", positions, chunk=chunk) for _ in range(2))
    assert write_graph(encoder_graph(model, 10), tmp_path) <= 1e-4
    session = Session(tmp_path / "encoder.onnx", threads=1)
    for sizes in ([77, 30, 5], [64], [65], [3]):
        feats, lengths = torch.randn(len(sizes), sizes[0], 10), torch.tensor(sizes)
        found, after = session(feats=feats.numpy(), lengths=lengths.numpy())
        with torch.no_grad():
            expected, _, _ = whole.encoder(feats, lengths)
        for row, length in enumerate(after.tolist()):
            assert np.allclose(found[row, :length], expected[row, :length].numpy(), atol=1e-4)


def test_an_encoder_that_does_not_trace_is_refused(tmp_path):
    model = encoder("zipformer", "rotary", resolutions=(1, 2))
    with pytest.raises(UserError, match=r"encoder: found a .*keep"):
        write_graph(encoder_graph(model, 10), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_int8_leaves_convolutions(tmp_path):
    write_graph(encoder_graph(encoder("conformer", "rotary"), 10), tmp_path)
    plain, small = tmp_path / "encoder.onnx", tmp_path / "encoder.int8.onnx"
    assert quantise(plain, small) == 1 + 2 * 8  # projection; twice 4 of the feed-forwards, 2, 2
    kinds = [node.op_type for node in onnx.load(str(small)).graph.node]
    assert kinds.count("Conv") == 4 and "ConvInteger" not in kinds
    feats = np.random.default_rng(0).standard_normal((1, 60, 10)).astype(np.float32)
    given = {"feats": feats, "lengths": np.array([60])}
    exact, rough = (Session(path, 1)(**given)[0] for path in (plain, small))
    assert 0 < np.abs(exact - rough).mean() < 0.05 * np.abs(exact).mean()


def decoders():
    """Ours with both kinds of positions, and stock's."""
    sizes = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2}
    torch.manual_seed(0)
    stock = pytest.importorskip("espnet2.asr.decoder.transformer_decoder").TransformerDecoder
    return {
        "absolute": CachedTransformerDecoder(9, 16, **sizes),
        "rotary": CachedTransformerDecoder(9, 16, positions="rotary", **sizes),
        "stock": stock(9, 16, **sizes),
    }


@pytest.mark.parametrize("kind", ["absolute", "rotary", "stock"])
def test_a_decoder_step_by_step_is_the_whole_text(kind, tmp_path):
    """With hypotheses that part, and an utterance that leaves."""
    decoder = decoders()[kind].eval()
    for graph in decoder_graphs(decoder, 16):
        assert write_graph(graph, tmp_path) <= 1e-4
    scorer = OnnxDecoderScorer(
        *(Session(tmp_path / f"{name}.onnx", 1) for name in ("memory", "decoder"))
    )
    encoded, lengths = torch.randn(2, 7, 16), torch.tensor([7, 4])
    state, texts = scorer.start(encoded, lengths), torch.full((2, 1, 1), 8)
    owners = [0, 1]
    for _ in range(4):
        log_probs, state = scorer.step(texts[:, :, -1], state)
        for row, owner in enumerate(owners):
            for text, found in zip(texts[row], log_probs[row], strict=True):
                expected = _whole(decoder, encoded[owner, : lengths[owner]], text)
                assert torch.allclose(found, expected, atol=1e-4)
        parents = torch.randint(texts.shape[1], (len(texts), 3))
        state = scorer.reorder(state, parents)
        texts = texts.gather(1, parents[:, :, None].expand(-1, -1, texts.shape[2]))
        texts = torch.cat((texts, torch.randint(9, (len(texts), 3, 1))), dim=2)
        if texts.shape[2] == 4:
            owners, texts = [1], texts[1:]
            state = scorer.keep(state, torch.tensor([1]))


def _whole(decoder, encoded, text):
    """Log-probabilities behind a text, by one pass over all of it."""
    sizes = torch.tensor([len(encoded)]), torch.tensor([len(text)])
    with torch.no_grad():
        logits, _ = decoder(encoded[None], sizes[0], text[None], sizes[1])
    return logits[0, -1].log_softmax(dim=-1)


def saved(folder, config):
    """The folder, with a recogniser in it that nobody trained, but which says something."""
    torch.manual_seed(0)
    model = TASKS["asr"].build({**TASKS["asr"].defaults, **config})
    with torch.no_grad():
        model.ctc.ctc_lo.weight *= 8
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), folder / "valid.acc.ave.pth")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder as training leaves it, with weights that nobody trained, and its graphs."""
    folder = saved(tmp_path_factory.mktemp("asr"), CONFIG)
    return folder, folder / "graphs", export_onnx("asr", folder, folder / "graphs")


def test_the_front_end_hears_what_espnets_hears(trained):
    torch.manual_seed(1)
    model = TASKS["asr"].build({**TASKS["asr"].defaults, **CONFIG}).eval()
    ours = FrontEnd(model.frontend, model.normalize).eval()
    speech = 0.1 * torch.randn(1, 4321)
    with torch.no_grad():
        feats, lengths = model.frontend(speech, torch.tensor([4321]))
        expected, _ = model.normalize(feats, lengths)
        assert torch.allclose(ours(speech), expected, atol=1e-4)


def test_what_is_written(trained):
    _, graphs, written = trained
    names = ["frontend", "encoder", "ctc", "memory", "decoder"]
    assert [one.name for one in written] == names
    assert all(one.difference <= 1e-4 for one in written)
    files = {path.name for path in graphs.iterdir()}
    small = {f"{name}.int8.onnx" for name in ("encoder", "memory", "decoder")}
    assert files == {f"{name}.onnx" for name in names} | small | {"onnx.json"}
    facts = json.loads((graphs / "onnx.json").read_text())
    assert facts["opset"] == 17 and facts["rate"] == 8000 and facts["tokens"] == TOKENS
    for name in names:
        opsets = onnx.load(str(graphs / f"{name}.onnx")).opset_import
        assert [(o.domain, o.version) for o in opsets] == [("", 17)]


def test_the_engine_finds_what_torch_finds(trained):
    folder, graphs, _ = trained
    options = DecodeOptions(beam_size=3, lm_weight=0.0, nbest=2, maxlenratio=0.5)
    torch_engine = Speech2Text.from_dir(folder, options=options)
    engine = OnnxSpeech2Text.from_dir(graphs, options=options, threads=1)
    random = np.random.default_rng(0)
    given = [0.1 * random.standard_normal(n).astype(np.float32) for n in (9000, 100, 4000, 16000)]
    given[0][7] = np.nan
    expected, found = torch_engine.many(given), engine.many(given)
    assert found[0][0].text == found[1][0].text == "" and found[3][0].text
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.tokens == other.tokens and one.text == other.text
            assert one.score == pytest.approx(other.score, abs=1e-3)
    for precision, decoder in (("int8", "decoder.onnx"), ("int8-all", "decoder.int8.onnx")):
        small = OnnxSpeech2Text(graphs, options, precision=precision, threads=1)
        assert small.many(given[2:])[1][0].text
        assert {"encoder.int8.onnx", decoder} <= {path.name for path in small.files}


@pytest.mark.parametrize("method", ["attention", "ctc_greedy", "ctc_prefix", "ctc_rescore"])
def test_other_ways_to_search_find_the_same(trained, method):
    folder, graphs, _ = trained
    options = DecodeOptions(beam_size=3, lm_weight=0.0, maxlenratio=0.5, method=method)
    sound = 0.1 * np.random.default_rng(1).standard_normal(8000).astype(np.float32)
    expected = Speech2Text.from_dir(folder, options=options)(sound)
    found = OnnxSpeech2Text(graphs, options, threads=1)(sound)
    assert found.text == expected.text and len(found.tokens) == len(expected.tokens)
    assert found[0].score == pytest.approx(expected[0].score, abs=1e-3)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A language model over the same tokens that nobody trained, and an n-gram model."""
    folder = tmp_path_factory.mktemp("lm")
    torch.manual_seed(1)
    config = {"token_list": TOKENS, "lm": "transformer", "lm_conf": LM_SIZES}
    model = TASKS["lm"].build({**TASKS["lm"].defaults, **config})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), folder / "valid.loss.ave.pth")
    tokens = torch.randint(2, 10, (210,)).numpy()
    save_ngram(folder / "ngram.npz", train(tokens, np.arange(7, 211, 7), TOKENS, 3))
    return folder


@pytest.mark.parametrize(
    "more",
    [
        {"lm_weight": 0.4},
        {"ngram_weight": 0.7},
        {"boost": ["ab cab"], "boost_weight": 3.0},
        {"coverage_weight": 0.9, "coverage_threshold": 0.02},
        {"ilm_weight": 0.3},
        {
            "lm_weight": 0.3,
            "ngram_weight": 0.3,
            "boost": ["dd"],
            "coverage_weight": 0.3,
            "penalty": 0.5,
        },
    ],
)
def test_what_else_scores_hypotheses_does_so_for_graphs(trained, language, more):
    folder, graphs, _ = trained
    plain = {"beam_size": 4, "lm_weight": 0.0, "ngram_weight": 0.0, "maxlenratio": 0.6, "nbest": 3}
    options = DecodeOptions(**{**plain, **more})
    given = {
        "lm_config": language / "config.yaml",
        "lm_weights": language / "valid.loss.ave.pth",
        "ngram": language / "ngram.npz",
        "options": options,
    }
    random = np.random.default_rng(3)
    sounds = [0.1 * random.standard_normal(n).astype(np.float32) for n in (6000, 9000)]
    torch_engine = Speech2Text(folder / "config.yaml", folder / "valid.acc.ave.pth", **given)
    expected = torch_engine.many(sounds)
    engine = OnnxSpeech2Text(graphs, threads=1, **given)
    found = engine.many(sounds)
    for ours, theirs in zip(found, expected, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-3)
            assert set(one.scores) == set(other.scores)
    assert engine.identity != OnnxSpeech2Text(graphs, options, threads=1).identity


@pytest.mark.parametrize("kind", ["bf16", "fp16"])
def test_weights_in_16_bits_change_little(trained, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("espnet_ext.export.onnx_graph.FEW", 100)  # the model is small
    _, graphs, _ = trained
    plain, small = graphs / "encoder.onnx", tmp_path / f"encoder.{kind}.onnx"
    assert halve(plain, small, kind) > 3
    assert small.stat().st_size < plain.stat().st_size
    feats = np.random.default_rng(0).standard_normal((1, 60, 20)).astype(np.float32)
    given = {"feats": feats, "lengths": np.array([60])}
    exact, rough = (Session(path, 1)(**given)[0] for path in (plain, small))
    off = np.abs(exact - rough).max() / np.abs(exact).max()
    assert 0 < off < (0.03 if kind == "bf16" else 0.003)


def test_16_bits_take_half_the_room_and_a_weight_that_they_do_not_hold_stays(tmp_path):
    module = torch.nn.Linear(64, 64)
    module.weight.data[0, 0] = 1e6
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    given = [{"x": torch.randn(n, 64)} for n in (2, 3)]
    write_graph(Graph("wide", module, given[0], ["y"], axes, given[1:]), tmp_path)
    assert halve(tmp_path / "wide.onnx", tmp_path / "half.onnx", "fp16") == 0
    assert halve(tmp_path / "wide.onnx", tmp_path / "half.onnx", "bf16") == 1
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("half", "wide")]
    assert sizes[0] < 0.6 * sizes[1]


def test_graphs_are_used_by_name_as_models_are(trained, language):
    _, graphs, _ = trained
    how = {"beam": 3, "ctc_weight": 0.3, "maxlenratio": 0.5}
    engine = OnnxSpeech2Text.from_pretrained(graphs, device="cpu", threads=1, **how)
    assert engine.options == DecodeOptions(beam_size=3, ctc_weight=0.3, maxlenratio=0.5)
    more = OnnxSpeech2Text.from_pretrained(
        graphs, lm=language, options=DecodeOptions(beam_size=7), precision="int8", **how
    )
    assert more.options.beam_size == 3
    sound = 0.1 * np.random.default_rng(1).standard_normal(8000).astype(np.float32)
    assert set(more(sound)[0].scores) == {"ctc", "decoder", "lm"}
    with pytest.raises(UserError, match="device: found 'cuda', expected cpu"):
        OnnxSpeech2Text.from_pretrained(graphs, device="cuda")
    with pytest.raises(UserError, match="unknown key 'bean'"):
        OnnxSpeech2Text.from_pretrained(graphs, bean=3)


def test_what_the_engine_says_it_cannot_do(trained):
    _, graphs, _ = trained
    with pytest.raises(UserError, match="search: found stock, which does not know ONNX graphs"):
        OnnxSpeech2Text(graphs, DecodeOptions(search="stock"))
    with pytest.raises(UserError, match="coverage is the decoder's"):
        OnnxSpeech2Text(graphs, DecodeOptions(coverage_weight=0.5, ctc_weight=1.0))


def test_what_an_engine_cannot_read(trained, tmp_path):
    _, graphs, _ = trained
    with pytest.raises(UserError, match=r"onnx.json: no such file, expected a folder"):
        OnnxSpeech2Text(tmp_path)
    with pytest.raises(UserError, match="found task 'asr', expected 'voc'"):
        from espnet_ext.inference.onnx_vocoder import OnnxVocoder

        OnnxVocoder(graphs)
    with pytest.raises(UserError, match=r"precision: found 'fp4', expected .*int8-all"):
        OnnxSpeech2Text(graphs, precision="fp4")
    with pytest.raises(UserError, match="precision: found no graph in bf16 in"):
        OnnxSpeech2Text(graphs, precision="bf16")
    facts = json.loads((graphs / "onnx.json").read_text())
    for text, said in [
        ("{", "found no JSON"),
        ("[1]", "found task"),
        (json.dumps({**facts, "bpemodel": "../bpe.model"}), r"the file name '\.\./bpe\.model'"),
        (json.dumps({**facts, "graphs": {"../../encoder": {}}}), "expected one in its folder"),
    ]:
        (tmp_path / "onnx.json").write_text(text)
        with pytest.raises(UserError, match=said):
            OnnxSpeech2Text(tmp_path)
    (tmp_path / "encoder.onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match="not read by onnxruntime"):
        Session(tmp_path / "encoder.onnx")
