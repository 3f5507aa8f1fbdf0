"""Which files a dotted path stands for, and what of them counts."""

import subprocess
import sys

import pytest

from espnet_ext.train.sources import code_digest, dotted_paths, source_files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pack/inner").mkdir(parents=True)
    files = {
        "alone.py": "import helper\nimport json\nimport torch\nclass A: pass\n",
        "helper.py": "def f(): return 1\n",
        "stranger.py": "",
        "pack/__init__.py": "raise RuntimeError('nobody may run this')\n",
        "pack/top.py": "from .inner import deep\nfrom pack.other import g\nimport helper\nclass T: pass\n",
        "pack/inner/__init__.py": "",
        "pack/inner/deep.py": "from ..third import h\n",
        "pack/other.py": "def g(): pass\n",
        "pack/third.py": "def h(): pass\n",
        "pack/unused.py": "",
        "broken.py": "def (:\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("dotted", "files"),
    [
        ("alone:A", {"alone.py", "helper.py"}),
        (
            "pack.top:T",
            {"pack/top.py", "pack/inner/__init__.py", "pack/inner/deep.py", "pack/other.py", "pack/third.py"},
        ),
        ("broken:B", {"broken.py"}),
        ("nowhere:N", set()),
        ("pack.nowhere:N", set()),
    ],
)  # fmt: skip
def test_a_class_and_what_it_imports_from_its_own_place(folder, dotted, files):
    found = {str(f.relative_to(folder)) for f in source_files(dotted, [str(folder), *sys.path])}
    assert found == files


def test_of_an_installed_package_only_the_file_itself():
    assert [f.name for f in source_files("torch.nn.modules.linear:Linear")] == ["linear.py"]


def test_dotted_paths_are_no_other_strings():
    config = {"a": "pack.top:T", "b": {"c": ["x: y", "C:/data", "file.pth:encoder.", 3, None]}}
    assert dotted_paths(config) == ["pack.top:T"]


def test_only_what_a_file_does_counts(tmp_path):
    def digest(text):
        (tmp_path / "m.py").write_text(text)
        return code_digest(tmp_path / "m.py")

    plain = digest("def f(x):\n    return x + 1\n")
    assert plain == digest('"""Says."""\ndef f(x):\n    """More."""\n    # why\n    return (x+1)\n')
    assert plain != digest("def f(x):\n    return x + 2\n")


def test_tools_may_use_it_without_any_package(repo):
    """tools/ run before the environment is there: `python -S -E`."""
    code = f"import sys; sys.path.append({str(repo)!r}); import espnet_ext.train.sources"
    subprocess.run([sys.executable, "-S", "-E", "-c", code], check=True)
