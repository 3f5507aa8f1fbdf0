"""Names in a YAML, the import hook, and what they cost."""

import subprocess
import sys

import pytest

from espnet_ext.bridge.choices import base_classes, choices, find_class
from espnet_ext.bridge.imports import espnet2_folder
from espnet_ext.errors import UserError

TASKS = ("asr", "lm", "tts", "gan_tts", "abs_task")


def paths():
    return [
        (task, kind, name, path)
        for task in TASKS
        for kind, table in choices(task).items()
        for name, path in table.items()
    ]


def test_every_table_of_a_task_is_there():
    kinds = {task: set(choices(task)) for task in TASKS}
    assert kinds["asr"] >= {
        "frontend",
        "specaug",
        "normalize",
        "model",
        "encoder",
        "decoder",
        "preprocessor",
    }
    assert kinds["lm"] == {"lm", "model"} and kinds["abs_task"] == {"optim", "scheduler"}
    for task in ("tts", "gan_tts"):
        assert kinds[task] == {
            "tts", "normalize", "feats_extractor", "pitch_extractor", "pitch_normalize",
            "energy_extractor", "energy_normalize",
        }  # fmt: skip
    assert len(paths()) > 90


def test_every_path_is_that_of_a_module_which_says_that_name():
    """Without importing them: the file is there and speaks of the name."""
    for task, kind, name, path in paths():
        module, _, attribute = path.partition(":")
        assert attribute and name == name.lower(), (task, kind, name, path)
        if module.startswith("espnet2."):
            stem = espnet2_folder().parent.joinpath(*module.split("."))
            file = (
                stem.with_suffix(".py")
                if stem.with_suffix(".py").is_file()
                else stem / "__init__.py"
            )
            assert attribute in file.read_text(encoding="utf-8"), (task, kind, name, path)
        else:
            assert module.startswith("torch.optim"), (task, kind, name, path)


def test_every_kind_of_a_task_has_its_base():
    for task in ("asr", "lm", "tts", "gan_tts"):
        assert set(base_classes(task)) == set(choices(task)), task
    assert base_classes("asr")["encoder"] == "espnet2.asr.encoder.abs_encoder:AbsEncoder"


@pytest.mark.parametrize("name", ["adam", "radam", "SGD", "AdamW"])
def test_optimisers(name):
    assert find_class("abs_task", "optim", name).__name__.lower() == name.lower()


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("encoder", "conformr", "conformer"),
        ("decoder", "transfomer", "transformer"),
        ("frontend", "zzz", "default"),
    ],
)
def test_a_near_name_is_offered(kind, name, hint):
    with pytest.raises(
        UserError,
        match=f"{kind}: found '{name}', expected one of .*{hint}.* or package.module:Class",
    ):
        find_class("asr", kind, name)


def _python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_espnet_ext_costs_nothing():
    """No heavy package, no connection, and no file but the modules of this package and of Python itself."""
    heavy = "{'torch', 'numpy', 'espnet', 'espnet2', 'yaml', 'scipy', 'librosa', 'typeguard'}"
    code = f"""
import sys, os
opened, net = [], []
python = tuple(os.path.realpath(p) for p in (sys.prefix, sys.base_prefix))
def watch(event, args):
    if event == "open" and isinstance(args[0], str): opened.append(os.path.realpath(args[0]))
    if event.startswith("socket."): net.append(event)
sys.addaudithook(watch)
before = set(sys.modules)
import espnet_ext
loaded = {{m.split('.')[0] for m in set(sys.modules) - before}}
assert not loaded & {heavy}, loaded
assert not net, net
ours = os.path.dirname(os.path.realpath(espnet_ext.__file__))
strange = [p for p in opened if not p.startswith(ours) and not p.startswith(python)]
assert not strange, strange
"""
    _python(code)


def test_only_the_one_class_is_imported():
    code = """
import sys
from espnet_ext.bridge.choices import find_class
find_class("lm", "lm", "transformer")
many = [m for m in sys.modules if m.startswith("espnet2.")]
assert "espnet2.lm.seq_rnn_lm" not in many and "espnet2.tasks.lm" not in many, many
print(len(many))
"""
    assert int(_python(code)) < 25


def test_stock_choices_understand_paths_whenever_they_are_imported(tmp_path):
    code = """
import argparse, sys
if {first}: import espnet2.train.class_choices
import espnet_ext
from espnet_ext.bridge.hook import install
install(); install()
from espnet2.train.class_choices import ClassChoices
class Base: pass
class Mine(Base): pass
class Other: pass
sys.modules["users"] = sys.modules["__main__"]
made = ClassChoices("encoder", dict(stock=Mine), type_check=Base, default="stock")
parser = argparse.ArgumentParser()
made.add_arguments(parser)
assert parser.parse_args(["--encoder", "STOCK"]).encoder == "stock"
assert parser.parse_args(["--encoder", "users:Mine"]).encoder == "users:Mine"
assert made.get_class("users:Mine") is Mine and made.get_class("stock") is Mine and made.get_class(None) is None
for bad, word in (("users:Other", "is not a Base"), ("users:No", "has no"), ("no.such:A", "no module named")):
    try: made.get_class(bad)
    except Exception as error: assert word in str(error), error
    else: raise AssertionError(bad)
try: made.get_class("nothing")
except ValueError as error: assert "must be one of" in str(error)
else: raise AssertionError
try: parser.parse_args(["--encoder", "nothing"])
except SystemExit as error: assert error.code == 2
print("done", ClassChoices.get_class.__qualname__.count("_teach"))
"""
    for first in (True, False):
        assert _python(code.replace("{first}", str(first))) == "done 1\n"
