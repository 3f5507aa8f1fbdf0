"""A mistake within a user's constructor was told as "conf does not fit", without its traceback."""

import sys

import pytest

from espnet_ext.bridge.tasks import TASKS
from espnet_ext.errors import UserError

MODULE = """
from espnet_ext.asr.specaug import LateSpecAug
from espnet2.asr.specaug.abs_specaug import AbsSpecAug

class Mistake(AbsSpecAug):
    def __init__(self, width=3):
        super().__init__()
        len(width)

class Assertion(AbsSpecAug):
    def __init__(self, width=3):
        super().__init__()
        assert width == 4

class Judge(AbsSpecAug):
    def __init__(self, width=3):
        super().__init__()
        raise ValueError(f"found width {width}")
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
    (tmp_path / "users_specaug.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)

    def build(name, **conf):
        tokens = ["<blank>", "<unk>", "a", "<sos/eos>"]
        changes = {"specaug": name, "specaug_conf": conf, "normalize": None, "token_list": tokens}
        return TASKS["asr"].build({**TASKS["asr"].defaults, **changes})

    yield build
    sys.modules.pop("users_specaug", None)


@pytest.mark.parametrize(
    ("name", "error", "line"),
    [("Mistake", TypeError, "len(width)"), ("Assertion", AssertionError, "assert width == 4")],
)
def test_a_mistake_keeps_its_traceback(build, name, error, line):
    with pytest.raises(error) as caught:
        build(f"users_specaug:{name}")
    assert line in str(caught.traceback[-1].statement)


@pytest.mark.parametrize(
    ("name", "conf", "words"),
    [
        ("users_specaug:Judge", {"width": 5}, "found width 5"),
        ("users_specaug:Mistake", {"widht": 5}, "widht"),
        ("users_specaug:LateSpecAug", {"begin": 5, "mask": 3}, "mask"),
        ("users_specaug:LateSpecAug", {"apply_time_warp": False, "apply_freq_mask": False, "apply_time_mask": False},
         "should be applied"),
        ("specaug", {"mask": 3}, "mask"),
        ("specaug", {"apply_time_mask": True, "time_mask_width_range": [1, 2, 3]}, "must be a tuple"),
    ],
)  # fmt: skip
def test_what_the_yaml_gets_wrong_is_one_line(build, name, conf, words):
    with pytest.raises(UserError, match=f"specaug_conf does not fit specaug: .*{words}"):
        build(name, **conf)


def test_a_token_list_that_is_not_there(tmp_path):
    config = {**TASKS["lm"].defaults, "token_list": str(tmp_path / "tokens.txt")}
    with pytest.raises(UserError, match="no such token list"):
        TASKS["lm"].build(config)
