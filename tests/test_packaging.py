"""`pip install -e .` into an environment that has what the package needs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")


@pytest.mark.slow
def test_an_editable_install_is_found_from_anywhere(repo: Path, tmp_path: Path):
    source, prefix = tmp_path / "source", tmp_path / "prefix"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(repo / name, source)
    shutil.copytree(
        repo / "espnet_ext", source / "espnet_ext", ignore=shutil.ignore_patterns("__pycache__")
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--no-index", "--prefix", str(prefix), "--editable", str(source)], check=True
    )
    site = next(prefix.glob("lib/python*/site-packages"))
    asked = f"import site; site.addsitedir({str(site)!r}); import espnet_ext; print(espnet_ext.__file__)"
    said = subprocess.run(
        [sys.executable, "-I", "-c", asked], cwd=tmp_path, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert Path(said.stdout.strip()) == source / "espnet_ext" / "__init__.py"


def test_what_the_package_imports_is_what_it_asks_for(repo: Path):
    """A dependency that no module imports, or an import that no dependency brings, is an oversight."""
    import ast
    import re

    text = (repo / "pyproject.toml").read_text()
    asked = {
        re.split(r"[>=<\[;]", line)[0].lower()
        for line in re.findall(r'"([A-Za-z][\w.\-\[\]]*[><=]=?[^"]*)"', text)
    }
    names = {
        "yaml": "pyyaml",
        "espnet2": "espnet",
        "PIL": "pillow",
        "tacotron_cleaner": "espnet_tts_frontend",
    }
    imported = set()
    for path in (repo / "espnet_ext").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            imported |= {names.get(m.split(".")[0], m.split(".")[0]).lower() for m in modules}
    ours = imported - set(map(str.lower, sys.stdlib_module_names)) - {"espnet_ext"}
    assert ours <= asked, f"imported and not asked for: {sorted(ours - asked)}"
