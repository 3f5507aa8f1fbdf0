"""Tokens and the text pipeline, beside stock ESPnet's tokenizers."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.text.cleaners import make_cleaner
from espnet_ext.text.phonemes import VITS, make_g2p, split_by_space
from espnet_ext.text.tokens import CharTokenizer, TextPipeline, make_tokenizer, read_token_list
from espnet_ext.text.vocabulary import VocabularyConfig, read_symbols, train_tokens

TEXT = [
    "the quick brown fox jumps over the lazy dog",
    "she had your dark suit in greasy wash water all year",
    "printing, in the only sense with which we are at present concerned",
    "don't ask me to carry an oily rag <noise> like that",
]
needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_text("".join(f"u{i} {line}\n" for i, line in enumerate(TEXT)))
    return path


def make(text, out, **config):
    train_tokens([text], out, VocabularyConfig(**config))
    return TextPipeline.from_dir(out)


@pytest.mark.parametrize("config", [{"token_type": "bpe", "nbpe": 40}, {"token_type": "char"},
                                    {"token_type": "word"}])  # fmt: skip
def test_text_comes_back(text, tmp_path, config):
    pipeline = make(text, tmp_path, **config)
    for line in TEXT:
        assert pipeline.text(pipeline.ids(line)) == line
        assert pipeline.ids(line) == pipeline.token_ids(pipeline.tokens(line))
    assert pipeline.token_list[:2] == ["<blank>", "<unk>"]
    assert pipeline.token_list[-1] == "<sos/eos>"
    assert len(set(pipeline.token_list)) == len(pipeline) > 20


def test_blank_and_eos_are_silent_and_unknown_tokens_are_unk(text, tmp_path):
    pipeline = make(text, tmp_path, token_type="word")
    ids = pipeline.ids("the xylophone dog")
    assert ids[1] == 1 == pipeline.unk_id
    assert pipeline.text([0, *ids, len(pipeline) - 1]) == "the <unk> dog"


def test_char_keeps_symbols_whole_and_writes_the_space():
    tokens = CharTokenizer(["<noise>", "<noise>2", ""]).split("a <noise>2 <noise>")
    assert tokens == ["a", "<space>", "<noise>2", "<space>", "<noise>"]


def test_symbols_given_to_training_stay_whole(text, tmp_path):
    for token_type in ("bpe", "char"):
        out = tmp_path / token_type
        pipeline = make(text, out, token_type=token_type, nbpe=42, nlsyms=("<noise>",))
        assert "<noise>" in pipeline.token_list
        assert "<noise>" in pipeline.tokens("rag <noise> like")


def test_tokens_are_sorted_by_frequency_then_by_first_use(tmp_path):
    (tmp_path / "text").write_text("u1 b a c a\nu2 d b\n")
    pipeline = make(tmp_path / "text", tmp_path / "out", token_type="word")
    assert pipeline.token_list == ["<blank>", "<unk>", "b", "a", "c", "d", "<sos/eos>"]
    (tmp_path / "text").write_text("u1 b a c a\nu2 d b\n")
    cut = make(tmp_path / "text", tmp_path / "cut", token_type="word", cutoff=1)
    assert cut.token_list == ["<blank>", "<unk>", "b", "a", "<sos/eos>"]


def test_same_text_gives_the_same_bytes(text, tmp_path):
    models = []
    for name in ("a", "b"):
        make(text, tmp_path / name, token_type="bpe", nbpe=40)
        models.append((tmp_path / name / "bpe.model").read_bytes())
    assert models[0] == models[1]


def test_another_type_in_the_same_directory_leaves_no_old_model(text, tmp_path):
    make(text, tmp_path, token_type="bpe", nbpe=40)
    make(text, tmp_path, token_type="char")
    assert not (tmp_path / "bpe.model").exists()


def test_a_pipeline_can_be_sent_to_another_process(text, tmp_path):
    pipeline = make(text, tmp_path, token_type="bpe", nbpe=40)
    ids = pipeline.ids(TEXT[0])
    assert pickle.loads(pickle.dumps(pipeline)).ids(TEXT[0]) == ids


@pytest.mark.parametrize(
    "config, words",
    [
        ({"nbpe": 5000}, "at most"),
        ({"nbpe": 8}, "too small"),
        ({"token_type": "syllable"}, "bpe, char, word, phn"),
        ({"token_type": "char", "cleaner": "soap"}, "tacotron"),
        ({"token_type": "phn", "g2p": "klingon"}, VITS),
        ({"nbpe": -5}, "found --nbpe -5, expected a number"),
        ({"character_coverage": 0.0}, "at most 1"),
        ({"specials": ("<unk>",)}, "<unk> is in every such list"),
        ({"specials": ("<s>",)}, "<s> is in every such list"),
        ({"specials": ("",), "token_type": "char"}, "without white space"),
    ],
)
def test_bad_settings_say_what_is_possible(text, tmp_path, config, words):
    with pytest.raises(UserError, match=words):
        make(text, tmp_path, **config)


def test_the_largest_nbpe_named_in_the_error_works(text, tmp_path):
    with pytest.raises(UserError) as caught:
        make(text, tmp_path, nbpe=5000)
    most = int(str(caught.value).split("at most ")[1].split()[0])
    assert len(make(text, tmp_path, nbpe=most)) == most
    with pytest.raises(UserError):
        make(text, tmp_path / "more", nbpe=most + 1)


def test_missing_and_empty_texts(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        make(tmp_path / "none", tmp_path)
    (tmp_path / "text").write_text("u1\nu2   \n")
    with pytest.raises(UserError, match="no sentence"):
        make(tmp_path / "text", tmp_path / "out")
    with pytest.raises(UserError, match="train_tokens"):
        TextPipeline.from_dir(tmp_path)


def test_broken_token_lists(tmp_path):
    with pytest.raises(UserError, match="stands at 2 and at 3"):
        TextPipeline("word", ["<blank>", "<unk>", "a", "a", "<sos/eos>"])
    with pytest.raises(UserError, match="no <unk>"):
        TextPipeline("word", ["<blank>", "a", "<sos/eos>"])
    (tmp_path / "tokens.txt").write_text("<blank>\n\n<unk>\n")
    with pytest.raises(UserError, match="line 2 is empty"):
        read_token_list(tmp_path / "tokens.txt")


def test_broken_files_of_a_token_list(tmp_path):
    for name, read in (("tokens.txt", read_token_list), ("symbols", read_symbols)):
        (tmp_path / name).write_bytes(b"<blank>\nb\xff\n")
        with pytest.raises(UserError, match=r"line 2: found bytes .* not UTF-8"):
            read(tmp_path / name)
    for written in ("{}", '{"token_type": ', "[]", "\udcff"):
        (tmp_path / "text.json").write_text(written, errors="surrogateescape")
        with pytest.raises(UserError, match=r"text\.json"):
            TextPipeline.from_dir(tmp_path)


def test_a_missing_bpe_model_is_named():
    with pytest.raises(UserError, match="needs a sentencepiece model"):
        make_tokenizer("bpe")
    with pytest.raises(UserError, match="nowhere"):
        make_tokenizer("bpe", "nowhere.model")


def test_phonemes_as_text():
    assert split_by_space("HH AH0   W ER") == ["HH", "AH0", " ", "W", "ER"]
    assert make_g2p(None)("a b") == ["a", "b"]


@needs_espeak
def test_espeak_gives_ipa_characters_and_can_be_pickled():
    g2p = make_g2p(VITS)
    assert "".join(g2p("hello, world")) == "həlˈoʊ,<space>wˈɜːld"
    assert g2p("") == []
    assert pickle.loads(pickle.dumps(g2p))("hello") == g2p("hello")


def test_without_phonemizer_the_error_says_what_to_install(monkeypatch):
    from espnet_ext.text.phonemes import _open_espeak

    _open_espeak.cache_clear()  # of tests before
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    with pytest.raises(UserError, match="pip install phonemizer"):
        make_g2p(VITS)("hello")


def test_importing_and_using_the_pipeline_needs_neither_torch_nor_espnet():
    code = (
        "import sys; from espnet_ext.text.tokens import TextPipeline as T;"
        "T('char', ['<blank>', '<unk>', 'a', '<sos/eos>']).ids('a');"
        "print(sorted({'torch', 'espnet2', 'numpy', 'sentencepiece'} & set(sys.modules)))"
    )
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here)
    assert out.stdout.strip() == "[]"


# -- beside stock ESPnet

stock_slow = pytest.mark.slow
sentence = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40)


@pytest.fixture(scope="module")
def stock():
    os.environ.setdefault("NLTK_DATA", "/nonexistent")
    return pytest.importorskip("espnet2.text.build_tokenizer").build_tokenizer


@stock_slow
@settings(deadline=None)
@given(line=sentence)
def test_char_and_word_equal_stock(stock, line):
    nlsyms = ["<noise>", "ab"]
    theirs = stock("char", non_linguistic_symbols=nlsyms)
    ours = make_tokenizer("char", nlsyms=nlsyms)
    assert ours.split(line) == theirs.text2tokens(line)
    assert ours.join(ours.split(line)) == theirs.tokens2text(theirs.text2tokens(line))
    assert make_tokenizer("word").split(line) == stock("word").text2tokens(line)


@stock_slow
@settings(deadline=None)
@given(line=sentence)
def test_bpe_equals_stock(stock, bpe_model, line):
    ours, theirs = make_tokenizer("bpe", bpe_model), stock("bpe", bpemodel=bpe_model)
    assert ours.split(line) == theirs.text2tokens(line)
    assert ours.join(ours.split(line)) == theirs.tokens2text(theirs.text2tokens(line))
    assert ours.join(["▁the", "<unk>", "x"]) == theirs.tokens2text(["▁the", "<unk>", "x"])


@pytest.fixture(scope="module")
def bpe_model(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("bpe")
    make(text, out, token_type="bpe", nbpe=40)
    return out / "bpe.model"


@stock_slow
@needs_espeak
@pytest.mark.parametrize("g2p", [VITS, "espeak_ng_german", None])
def test_phonemes_equal_stock(stock, g2p):
    ours, theirs = make_tokenizer("phn", g2p=g2p), stock("phn", g2p_type=g2p)
    for line in [*TEXT, "Wait... what?!", "a", '1,5 - "quoted" (so)', "...", "x   y z"]:
        assert ours.split(line) == theirs.text2tokens(line)
    assert ours.join(["a", "b"]) == theirs.tokens2text(["a", "b"])


@stock_slow
def test_tacotron_equals_stock(stock):
    from espnet2.text.cleaner import TextCleaner

    ours, theirs = make_cleaner("tacotron"), TextCleaner("tacotron")
    for line in [*TEXT, "(Hello-World);   &  jr. & dr.", "It cost $2.50 in 1999, the 3rd time"]:
        assert ours(line) == theirs(line)


@stock_slow
@pytest.mark.parametrize("token_type", ["char", "word"])
def test_token_list_equals_stock(stock, text, tmp_path, token_type):
    from espnet2.bin.tokenize_text import main
    from espnet2.text.token_id_converter import TokenIDConverter

    ours = make(text, tmp_path / "ours", token_type=token_type)
    theirs = tmp_path / "theirs"
    main(
        ["--input", str(text), "--output", str(theirs), "--token_type", token_type]
        + ["--field", "2-", "--write_vocabulary", "true"]
        + ["--add_symbol=<blank>:0", "--add_symbol=<unk>:1", "--add_symbol=<sos/eos>:-1"]
    )
    assert read_token_list(theirs) == ours.token_list
    assert TokenIDConverter(theirs).token_list == ours.token_list
