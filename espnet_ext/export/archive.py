"""ESPnet's model archives: a zip with `meta.yaml`, configurations, weights and what they refer to.

The form is that of espnet2/main_funcs/pack_funcs.py; stock `unpack` reads what `write_archive` writes, and
`unpack` reads stock's. Paths in the archive are relative to the recipe's directory.
"""

from __future__ import annotations

import stat
import sys
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from espnet_ext.errors import UserError
from espnet_ext.files import atomic_open, write_text

META = "meta.yaml"
OWN = "espnet_ext_files"  # a table of meta.yaml that stock ESPnet does not read
_PACKED_ALREADY = {".pth", ".npz", ".zip", ".gz", ".flac", ".png", ".jpg"}


@dataclass
class Contents:
    """What goes into an archive, all by its name there.

    Attributes:
        files: argument of the inference class -> name, e.g. asr_model_file.
        yaml_files: likewise for configurations, e.g. asr_train_config.
        own_files: argument of our own Speech2Text, unknown to ESPnet's -> name, e.g. ngram.
        sources: name -> file to copy.
        texts: name -> text to write; wins over a source of that name.
    """

    files: dict[str, str] = field(default_factory=dict)
    yaml_files: dict[str, str] = field(default_factory=dict)
    own_files: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, path: str | Path) -> str:
        """Take a file in; returns its name: relative to the current directory, else below external/."""
        path = Path(path)
        name = archive_name(path)
        known = self.sources.get(name)
        if known is not None and known.resolve() != path.resolve():
            raise UserError(f"{path} and {known} would both be {name} in the archive; rename one")
        self.sources[name] = path
        return name


def archive_name(path: Path) -> str:
    """The name of a file in the archive: with its folder, as the configurations of two models are called the same."""
    whole = Path.cwd() / path
    try:  # not resolved: a link such as valid.acc.ave.pth keeps its name
        return PurePosixPath(*_normal(whole).relative_to(Path.cwd()).parts).as_posix()
    except ValueError:
        return f"external/{whole.parent.name}/{path.name}"


def _normal(path: Path) -> Path:
    import os.path

    return Path(os.path.normpath(path))


def _versions() -> dict[str, str]:
    """Versions of the packages that a reader of the archive may want, without importing them."""
    found = {}
    for package in ("torch", "espnet", "espnet_ext"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_archive(path: str | Path, contents: Contents) -> None:
    """Write the zip, whole or not at all.

    Raises:
        UserError: if a file to copy does not exist or the name does not end in .zip.
    """
    if Path(path).suffix != ".zip":
        raise UserError(f"{path}: expected a name that ends in .zip, the form that ESPnet reads")
    for name, source in contents.sources.items():
        if name not in contents.texts and not source.is_file():
            raise UserError(f"{source}: no such file, expected it for the archive")
    meta = {
        "files": contents.files,
        "yaml_files": contents.yaml_files,
        **({OWN: contents.own_files} if contents.own_files else {}),
        "timestamp": time.time(),
        "python": sys.version,
        **_versions(),
    }
    with atomic_open(path, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(META, yaml.safe_dump(meta))
        for name, text in contents.texts.items():
            archive.writestr(name, text, zipfile.ZIP_DEFLATED)
        for name, source in contents.sources.items():
            if name not in contents.texts:
                archive.write(source, name, _method(source))


def _method(source: Path) -> int:
    packed = source.suffix in _PACKED_ALREADY
    return zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED


def map_strings(value: Any, change: Mapping[str, str]) -> Any:
    """A configuration with every string that is a path in `change` replaced."""
    if isinstance(value, dict):
        return {key: map_strings(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_strings(item, change) for item in value]
    if isinstance(value, str):
        return change.get(value) or change.get(_normal(Path(value)).as_posix()) or value
    return value


def read_meta(archive: zipfile.ZipFile, path: str | Path) -> tuple[str, dict[str, Any]]:
    """Name of meta.yaml in an archive, and what it says.

    Raises:
        UserError: if there is none, or it lacks `files` or `yaml_files`.
    """
    names = [name for name in archive.namelist() if PurePosixPath(name).name == META]
    if not names:
        raise UserError(f"{path}: no {META} in it, expected a model packed by ESPnet or `pack`")
    meta = yaml.safe_load(archive.read(names[0]))
    for key in ("files", "yaml_files"):
        if not isinstance(meta, dict) or not isinstance(meta.get(key), dict):
            raise UserError(
                f"{path}: its {names[0]} has no table {key!r}, expected one as in ESPnet's"
            )
    return names[0], meta


def refuse_dangerous(members: Iterable[zipfile.ZipInfo], path: str | Path) -> None:
    """Refuse names that would be written outside the target directory, and links.

    Raises:
        UserError: naming the first such member.
    """
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        drive = len(name.parts[:1]) and name.parts[0].endswith(":")
        if name.is_absolute() or ".." in name.parts or drive:
            raise UserError(
                f"{path}: it holds {member.filename!r}, which would be written outside the target "
                "directory; do not trust this archive"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(
                f"{path}: it holds the link {member.filename!r}; do not trust this archive"
            )


def _open(path: str | Path) -> zipfile.ZipFile:
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file, expected a packed model")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{path}: not a whole zip archive ({error}); fetch or pack it again"
        ) from error


def extract(path: str | Path, out: str | Path) -> dict[str, Any]:
    """Write the members of an archive below `out` as they are; returns what meta.yaml says.

    Raises:
        UserError: if it is no model archive, is broken, or holds dangerous names.
    """
    out = Path(out)
    with _open(path) as archive:
        meta_name, meta = read_meta(archive, path)
        members = [m for m in archive.infolist() if not m.is_dir()]
        refuse_dangerous(members, path)
        # meta.yaml last: where it is, the rest is complete
        for member in sorted(members, key=lambda m: m.filename == meta_name):
            with archive.open(member) as source, atomic_open(out / member.filename, "wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
    return meta


def unpack(path: str | Path, out: str | Path, own: bool = False) -> dict[str, str]:
    """Unpack a model, with the paths in its configurations pointing to where they lie now.

    Args:
        path: the zip.
        out: directory to write to.
        own: name those files, too, that only our engines take, e.g. an n-gram model on tokens.

    Returns:
        arguments of ESPnet's inference class, e.g. {"asr_model_file": "out/exp/asr/valid.acc.ave.pth"}.

    Raises:
        UserError: if it is no model archive, is broken, or holds dangerous names.
    """
    out = Path(out)
    meta = extract(path, out)
    with _open(path) as archive:
        change = {name: str(out / name) for name in archive.namelist() if not name.endswith("/")}
    for name in meta["yaml_files"].values():
        config = yaml.safe_load((out / name).read_text(encoding="utf-8"))
        write_text(out / name, yaml.safe_dump(map_strings(config, change), sort_keys=False))
    files = {**meta["yaml_files"], **meta["files"], **(meta.get(OWN) or {} if own else {})}
    return {key: str(out / name) for key, name in files.items()}
