"""What stock ESPnet learns besides dotted paths."""

import subprocess
import sys

import pytest

from espnet_ext.text.tokens import TextPipeline
from espnet_ext.text.vocabulary import VocabularyConfig, train_tokens

VITS = "espeak_ng_english_us_vits"


def test_stock_cleaner_learns_ours():
    code = (
        "import espnet_ext\n"
        "from espnet2.text.cleaner import TextCleaner\n"
        "print(TextCleaner('normalize')('Dr. Smith paid $25.'), TextCleaner(None)('a 1'), sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Doctor Smith paid twenty-five dollars.|a 1"


def test_a_file_of_a_converters_name_changes_nothing_in_stock(tmp_path):
    (tmp_path / "g2p_en_no_space").write_text("# g2p: espeak:en\nhello x\n")
    code = (
        "import espnet_ext\n"
        "import espnet2.text.phoneme_tokenizer as module\n"
        "module.G2p_en = lambda **given: 'stock'\n"
        "print(module.PhonemeTokenizer('g2p_en_no_space').g2p)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "stock\n"


@pytest.mark.slow
def test_a_users_lexicon_is_heard_in_training_in_decoding_and_in_stock(tmp_path):
    """The configuration names the token folder's lexicon.txt as its g2p; that file names the converter."""
    (tmp_path / "text").write_text("u1 say espnet now\n")
    (tmp_path / "own").write_text("espnet q x y q\n")
    options = VocabularyConfig(token_type="phn", g2p=VITS, lexicon=str(tmp_path / "own"))
    train_tokens([tmp_path / "text"], tmp_path / "tokens", options)
    trained = TextPipeline.from_dir(tmp_path / "tokens")
    decoded = TextPipeline("phn", trained.token_list, g2p=trained.g2p, cleaner=trained.cleaner)
    expected = trained.tokenizer.split("say espnet now")
    assert "".join(p for p in expected if p in "qxy") == "qxyq"
    assert decoded.tokenizer.split("say espnet now") == expected
    code = (
        "import espnet_ext\n"
        "from espnet2.text.phoneme_tokenizer import PhonemeTokenizer\n"
        f"print(PhonemeTokenizer({trained.g2p!r}).text2tokens('say espnet now'))\n"
        "print(len(PhonemeTokenizer('espeak:de').text2tokens('guten Tag')) > 3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(expected), "True"]
