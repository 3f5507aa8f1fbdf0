"""Models that are fetched: by the real packages, from servers on this machine that break off, spoil and vanish."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from espnet_ext.corpora import fetch
from espnet_ext.errors import UserError
from espnet_ext.export.archive import Contents, extract, write_archive
from espnet_ext.export.trust import Limits
from espnet_ext.inference import zoo as zoo_module
from espnet_ext.inference.pretrained import find_model
from tests.inference.servers import COMMIT, Served, serving

PATH = "/files/tones.zip"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A model that nobody loads, of a size that breaks off in the middle."""
    folder = tmp_path_factory.mktemp("packed")
    weights = folder / "valid.acc.ave.pth"
    weights.write_bytes(random.Random(0).randbytes(40_000))
    config = {"exp/asr/config.yaml": "token_list: [a]\n"}
    contents = Contents(
        files={"asr_model_file": "exp/asr/valid.acc.ave.pth"},
        yaml_files={"asr_train_config": "exp/asr/config.yaml"},
        sources={"exp/asr/valid.acc.ave.pth": weights},
        texts=config,
    )
    write_archive(folder / "tones.zip", contents)
    return folder / "tones.zip"


@pytest.fixture
def server(packed, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    with serving(Served({PATH: packed.read_bytes()})) as served:
        yield served


@pytest.fixture
def zoo(server, tmp_path, monkeypatch):
    """espnet_model_zoo with a table of one name; the package reads it from beside its own file."""
    downloader = pytest.importorskip("espnet_model_zoo.downloader")
    table = tmp_path / "package/table.csv"
    table.parent.mkdir()
    table.write_text(f"corpus,task,name,url\ntones,asr,somebody/tones,{server.url}{PATH}\n")
    monkeypatch.setattr(downloader, "__file__", str(table.parent / "downloader.py"))
    return server


@pytest.fixture
def hub(packed, server, tmp_path, monkeypatch):
    """huggingface_hub that takes this machine for the hub."""
    constants = pytest.importorskip("huggingface_hub.constants")
    pytest.importorskip("espnet_model_zoo.downloader")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    url = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    extract(packed, tmp_path / "model")
    server.add_model("somebody/new", tmp_path / "model")
    return server


def weights(found):
    return Path(found["asr_model_file"]).read_bytes()


def expected(packed, tmp_path):
    extract(packed, tmp_path / "expected")
    return (tmp_path / "expected/exp/asr/valid.acc.ave.pth").read_bytes()


def test_a_name_of_the_zoo_is_fetched_once(zoo, packed, tmp_path):
    found = find_model("somebody/tones", cache=tmp_path / "c")
    assert weights(found) == expected(packed, tmp_path)
    gets = [line for line in zoo.asked if line.startswith("GET")]
    assert gets == [f"GET {PATH}"]
    zoo.files.clear()  # no network, as it were
    assert find_model("somebody/tones", cache=tmp_path / "c") == found
    assert [line for line in zoo.asked if line.startswith("GET")] == gets


def test_a_download_goes_on_where_it_broke_off(server, packed, tmp_path):
    server.breaks = 1
    found = find_model(server.url + PATH, cache=tmp_path / "c")
    assert weights(found) == expected(packed, tmp_path)
    gets = [line for line in server.asked if line.startswith("GET")]
    assert len(gets) == 2 and gets[1].startswith(f"GET {PATH} bytes=")


def test_what_came_is_kept_for_the_next_run(server, packed, tmp_path, monkeypatch):
    monkeypatch.setattr("espnet_ext.inference.zoo.TRIES", 1)
    server.breaks = 1
    with pytest.raises(UserError, match=r"bytes of .*kept and continued"):
        find_model(server.url + PATH, cache=tmp_path / "c")
    assert weights(find_model(server.url + PATH, cache=tmp_path / "c")) == expected(
        packed, tmp_path
    )
    assert "bytes=" in server.asked[-1]


@pytest.mark.parametrize("sums", [True, False])
def test_a_spoilt_archive_is_refused_and_fetched_anew(sums, server, packed, tmp_path):
    """By the server's checksum where it says one, else by the archive's own."""
    server.spoils, server.sums = True, sums
    with pytest.raises(UserError, match="damaged on its way" if sums else "not a whole zip"):
        find_model(server.url + PATH, cache=tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*.pth")) and not list((tmp_path / "c").rglob("*.zip"))
    server.spoils = False
    assert weights(find_model(server.url + PATH, cache=tmp_path / "c")) == expected(
        packed, tmp_path
    )


def test_a_server_that_has_nothing_or_is_gone(server, tmp_path):
    with pytest.raises(UserError, match=r"none\.zip: found HTTP Error 404"):
        find_model(server.url + "/none.zip", cache=tmp_path / "c")
    with pytest.raises(UserError, match="expected the whole file: check the network"):
        find_model("http://127.0.0.1:9/x.zip", cache=tmp_path / "c")


def test_a_name_of_the_hub_is_fetched_and_found_again_without_network(
    hub, packed, tmp_path, monkeypatch
):
    found = find_model("somebody/new", cache=tmp_path / "c")
    assert weights(found) == expected(packed, tmp_path) and COMMIT in found["asr_model_file"]
    assert find_model("somebody/new@v2", cache=tmp_path / "c") == found
    asked = len(hub.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert find_model("somebody/new", cache=tmp_path / "c") == found and len(hub.asked) == asked
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert find_model("somebody/new", cache=tmp_path / "c") == found


def test_the_hub_breaks_off(hub, packed, tmp_path):
    hub.breaks = 1
    assert weights(find_model("somebody/new", cache=tmp_path / "c")) == expected(packed, tmp_path)
    gets = [line for line in hub.asked if line.startswith("GET") and ".pth" in line]
    assert len(gets) == 2 and "bytes=" in gets[1]


def test_a_spoilt_file_of_the_hub_is_refused_and_fetched_anew(hub, packed, tmp_path):
    hub.spoils = True
    with pytest.raises(UserError, match=r"valid\.acc\.ave\.pth: found another file than the hub's"):
        find_model("somebody/new", cache=tmp_path / "c")
    hub.spoils = False
    assert weights(find_model("somebody/new", cache=tmp_path / "c")) == expected(packed, tmp_path)


def test_the_hub_does_not_fill_the_disk(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_module, "LIMITS", Limits(bytes=30_000))
    with pytest.raises(UserError, match=r"found 3 files of 40,\d+ bytes, expected a model"):
        find_model("somebody/new", cache=tmp_path / "c")
    assert not [line for line in hub.asked if line.startswith("GET /somebody")]


def test_names_that_nobody_has(hub, tmp_path):
    with pytest.raises(
        UserError, match="nobody/nothing: found no such folder, and no way to fetch"
    ):
        find_model("nobody/nothing", cache=tmp_path / "c")
