"""ESPnet's model archives: a zip with `meta.yaml`, configurations, weights and what they refer to.

The form is that of espnet2/main_funcs/pack_funcs.py; stock `unpack` reads what `write_archive` writes, and
`unpack` reads stock's. Paths in the archive are relative to the recipe's directory.
"""

from __future__ import annotations

import lzma
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import IO, Any

import yaml

from espnet_ext.errors import UserError
from espnet_ext.export.trust import (
    ADVICE,
    Limits,
    refuse_dangerous,
    refuse_meta,
    refuse_oversized,
)
from espnet_ext.files import atomic_open, write_text

META = "meta.yaml"
OWN = "espnet_ext_files"  # a table of meta.yaml that stock ESPnet does not read
#: What zipfile and its decompressors raise for what is broken, encrypted or of an unknown method.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
_PACKED_ALREADY = {".pth", ".npz", ".zip", ".gz", ".flac", ".png", ".jpg"}


class BrokenArchive(UserError):
    """An archive that is not whole: fetching it again may help."""


@dataclass
class Contents:
    """What goes into an archive, all by its name there.

    Attributes:
        files: argument of the inference class -> name, e.g. asr_model_file.
        yaml_files: likewise for configurations, e.g. asr_train_config.
        own_files: argument of our own Speech2Text, unknown to ESPnet's -> name, e.g. ngram.
        sources: name -> file to copy.
        texts: name -> text to write; wins over a source of that name.
        licence: under which the model may be used, e.g. cc-by-4.0; None = not said.
    """

    files: dict[str, str] = field(default_factory=dict)
    yaml_files: dict[str, str] = field(default_factory=dict)
    own_files: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    licence: str | None = None

    def add(self, path: str | Path) -> str:
        """Take a file in; returns its name: relative to the current directory, else below external/."""
        path, number = Path(path), 1
        name = plain = archive_name(path)
        while name in self.sources and self.sources[name].resolve() != path.resolve():
            number += 1  # only those from elsewhere can be called alike
            name = plain.replace("external/", f"external/{number}/", 1)
        self.sources[name] = path
        return name


def archive_name(path: Path) -> str:
    """The name of a file in the archive: with its folder, as the configurations of two models are called the same."""
    whole = Path.cwd() / path
    try:  # not resolved: a link such as valid.acc.ave.pth keeps its name
        return PurePosixPath(*_normal(whole).relative_to(Path.cwd()).parts).as_posix()
    except ValueError:
        return "/".join(["external", *_normal(whole).parts[1:][-3:]])


def _normal(path: Path) -> Path:
    import os.path

    return Path(os.path.normpath(path))


def versions() -> dict[str, str]:
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
        **({"licence": contents.licence} if contents.licence else {}),
        "timestamp": time.time(),
        "python": sys.version,
        **versions(),
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


def read_meta(
    archive: zipfile.ZipFile, path: str | Path, limits: Limits = Limits()
) -> tuple[str, dict[str, Any]]:
    """Name of meta.yaml in an archive, and what it says.

    Raises:
        UserError: if there is none, it lacks `files` or `yaml_files`, or names files outside the archive.
    """
    members = [m for m in archive.infolist() if PurePosixPath(m.filename).name == META]
    if not members:
        raise UserError(f"{path}: no {META} in it, expected a model packed by ESPnet or `pack`")
    name, size = members[0].filename, members[0].file_size
    if size > limits.meta:
        raise UserError(f"{path}: its {name} has {size:,} bytes, expected a short table; {ADVICE}")
    try:
        meta = yaml.safe_load(archive.read(name))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: its {name} is no YAML, expected ESPnet's tables") from error
    refuse_meta(meta, f"{path}: its {name}", ("files", "yaml_files"), OWN)
    return name, meta


@contextmanager
def _opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is broken in it, and found while it is read, is a UserError."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file, expected a packed model")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except BROKEN as error:
        raise BrokenArchive(
            f"{path}: not a whole zip archive ({error or type(error).__name__}), expected one as ESPnet or `pack` "
            "writes it; fetch or pack it again"
        ) from error


def extract(path: str | Path, out: str | Path, limits: Limits = Limits()) -> dict[str, Any]:
    """Write the members of an archive below `out` as they are; returns what meta.yaml says.

    Args:
        path: the zip.
        out: directory to write to; nothing is written there of an archive that is refused for what it says it holds.
        limits: how much it may hold.

    Raises:
        UserError: if it is no model archive, is broken (`BrokenArchive`), holds too much, or dangerous names.
    """
    out = Path(out)
    with _opened(path) as archive:
        meta_name, meta = read_meta(archive, path, limits)
        refuse_dangerous(archive.infolist(), path)
        members = [m for m in archive.infolist() if not m.is_dir()]
        refuse_oversized(members, path, out, limits)
        # meta.yaml last: where it is, the rest is complete
        for member in sorted(members, key=lambda m: m.filename == meta_name):
            with archive.open(member) as source, atomic_open(out / member.filename, "wb") as target:
                _copy(source, target, member.file_size)
    return meta


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    """As many bytes as a member says it has.

    Raises:
        BadZipFile: if it has more or fewer.
    """
    found = 0
    while found <= size and (chunk := source.read(1 << 20)):
        found += len(chunk)
        target.write(chunk)
    if found != size:
        raise zipfile.BadZipFile(f"a member has {found} bytes or more, not {size}")


def _read_yaml(archive: str | Path, path: Path) -> Any:
    """A configuration that meta.yaml names.

    Raises:
        UserError: if the archive did not hold it, or it is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"{archive}: found no configuration {path.name} in it that can be read ({type(error).__name__}), expected "
            f"the one that its {META} names; pack it again"
        ) from error


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
    with _opened(path) as archive:
        change = {name: str(out / name) for name in archive.namelist() if not name.endswith("/")}
    for name in meta["yaml_files"].values():
        config = _read_yaml(path, out / name)
        write_text(out / name, yaml.safe_dump(map_strings(config, change), sort_keys=False))
    files = {**meta["yaml_files"], **meta["files"], **(meta.get(OWN) or {} if own else {})}
    return {key: str(out / name) for key, name in files.items()}
