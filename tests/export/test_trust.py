"""Archives from strangers: bombs, lies about sizes, damage anywhere, other kinds of archives."""

import io
import struct
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.export.archive import BrokenArchive, extract
from espnet_ext.export.trust import Limits

META = "files: {model_file: a.pth}\nyaml_files: {train_config: c.yaml}\n"


def model(path, method=zipfile.ZIP_DEFLATED, meta=META, **members):
    """A small archive that is right."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("meta.yaml", meta)
        archive.writestr("a.pth", b"weights" * 20)
        archive.writestr("c.yaml", "x: 1\n")
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_bomb_is_refused_before_a_byte_is_written(tmp_path):
    path = model(tmp_path / "bomb.zip", zeros=bytes(3_000_000))
    with pytest.raises(UserError, match=r"found 3,000,\d+ bytes out of .* at most 200 times"):
        extract(path, tmp_path / "out", Limits(free=1_000_000))
    with pytest.raises(UserError, match="bytes unpacked, expected 1,000 at most"):
        extract(path, tmp_path / "out", Limits(bytes=1000))
    assert not (tmp_path / "out").exists()
    extract(path, tmp_path / "out")  # a few MB harm nobody


def test_the_usual_limits_refuse_a_large_bomb(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.yaml", META)
        with archive.open("zeros", "w") as stream:
            for _ in range(110):
                stream.write(bytes(1_000_000))
    with pytest.raises(UserError, match="do not trust this archive"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_files(tmp_path):
    path = model(tmp_path / "many.zip", **{f"f{n}": "" for n in range(50)})
    with pytest.raises(UserError, match="found 53 files, expected 20 at most"):
        extract(path, tmp_path / "out", Limits(members=20))


def test_more_than_the_disk_has(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(UserError, match="found 10 bytes of free space"):
        extract(model(tmp_path / "a.zip"), tmp_path / "out")


def _lying(path, name, size):
    """The archive, whose directory says that a member has another size."""
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    while data[place + 46 : place + 46 + len(name)] != name:
        place = data.index(b"PK\x01\x02", place + 4)
    data[place + 24 : place + 28] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [3, 10_000])
def test_a_size_that_is_a_lie(size, tmp_path):
    path = _lying(model(tmp_path / "lie.zip"), b"a.pth", size)
    with pytest.raises(BrokenArchive, match="not a whole zip archive"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out/meta.yaml").exists() and not (tmp_path / "out/a.pth").exists()


def test_a_table_of_gigabytes_is_not_read(tmp_path):
    path = model(tmp_path / "a.zip", meta="files: {" + " " * 5_000_000)
    with pytest.raises(UserError, match=r"meta\.yaml has 5,000,008 bytes, expected a short table"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize("meta", ["files: [", "files: {a: ../b}\nyaml_files: {}", "\xff\xfe: {"])
def test_tables_that_say_nothing_good(meta, tmp_path):
    path = model(tmp_path / "a.zip", meta=meta.encode("latin-1"))
    with pytest.raises(UserError, match="expected"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path):
    path = model(tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.pth", "others")
    with pytest.raises(UserError, match=r"holds 'a\.pth' twice"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["x" * 240, "x/" + "\u00e4" * 120 + "/y"])
def test_a_name_that_no_disk_takes(name, tmp_path):
    with pytest.raises(UserError, match="expected 200 bytes at most between slashes"):
        extract(model(tmp_path / "a.zip", **{name: "x"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_where_a_folder_has_to_be(tmp_path):
    path = model(tmp_path / "a.zip", **{"a.pth/inside": "x"})
    with pytest.raises(BrokenArchive):
        extract(path, tmp_path / "out")


def test_tars_are_not_read(tmp_path):
    """ESPnet can write them; nobody shares models so."""
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("meta.yaml")
        member.size = len(META)
        tar.addfile(member, io.BytesIO(META.encode()))
    with pytest.raises(BrokenArchive, match="not a whole zip archive"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_is_seen_or_harmless(data, tmp_path):
    """Any byte changed, or the end lost: what is written is what was packed, or it is refused."""
    whole = model(tmp_path / "whole.zip", data.draw(st.sampled_from((0, 8, 14)))).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place]
    if data.draw(st.booleans()):
        changed += bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    (tmp_path / "changed.zip").write_bytes(changed)
    out = tmp_path / f"out{data.draw(st.integers(0, 10**9))}"
    try:
        extract(tmp_path / "changed.zip", out)
    except UserError:
        return
    written = {p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert written <= {META.encode(), b"weights" * 20, b"x: 1\n"}
