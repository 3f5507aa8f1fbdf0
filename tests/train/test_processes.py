"""Several processes: the same training as in one, and a clear end when one of them ends early."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from espnet_ext.train.config import TRAINING
from espnet_ext.train.launch import LOST, _verdict
from espnet_ext.train.processes import Processes, _buckets
from espnet_ext.train.run import share_updates

TOGETHER = Path(__file__).with_name("together.py")
LAUNCH = "import sys; from espnet_ext.train.launch import launch; sys.exit(launch([sys.executable, *sys.argv[2:]], "
LAUNCH += "int(sys.argv[1])))"
#: What follows from a gradient that is 0 but for rounding: a bias in front of batch normalisation.
ROUNDING = ("layers.0.bias", "layers.1.running_mean", "layers.1.running_var")


def _start(number, folder, *changes):
    command = [TOGETHER, folder, "accum_grad=4", *changes]
    if number > 1:
        command = ["-c", LAUNCH, number, *command]
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _result(folder):
    weights = json.loads((folder / "weights.json").read_text())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]
    return {name: torch.tensor(value) for name, value in weights.items()}, kept


def _run(number, folder, *changes):
    process = _start(number, folder, *changes)
    out, error = process.communicate()
    return process.returncode, out, error


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What one process ends in, and two."""
    found = []
    for number in (1, 2):
        folder = tmp_path_factory.mktemp(f"of{number}")
        status, _, error = _run(number, folder)
        assert status == 0, error
        found.append(_result(folder))
    return found


def test_two_processes_train_what_one_does(runs):
    """Same losses and weights, with dropout, a part that not every batch uses, and a last update of three batches."""
    (one, lines), (two, others) = runs
    assert [line["updates"] for line in lines] == [3, 3, 6, 6, 9, 9]
    for mine, other in zip(lines, others, strict=True):
        assert mine["updates"] == other["updates"]
        if mine["split"] == "train":
            assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)
    for name, tensor in one.items():
        if name not in ROUNDING:
            assert torch.allclose(tensor, two[name], atol=1e-5), name
    assert one["seen"] == two["seen"] == 33


def _seconds_since_the_end(folder):
    """Of the process that was killed; how long the rest took to begin is the machine's business."""
    return time.time() - (folder / "ended").stat().st_mtime


@pytest.mark.slow
def test_one_of_two_killed(runs, tmp_path):
    status, out, error = _run(2, tmp_path, "kill=1@4")
    assert status == 128 + signal.SIGKILL and _seconds_since_the_end(tmp_path) < 60
    assert "process 2 of 2 was ended by SIGKILL" in error and "goes on from the last" in error
    assert "Traceback" not in error and "epoch 2/3" not in out
    status, out, error = _run(2, tmp_path)
    assert status == 0 and "resuming at epoch 2, batch 0, update 3" in out, error
    (weights, lines), (others, other_lines) = _result(tmp_path), runs[1]
    assert lines == other_lines
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


@pytest.mark.slow
def test_shared_weights_train_what_whole_ones_do(tmp_path):
    """FSDP2 over gloo, killed by nobody but ended after two epochs and gone on with; both look at the gradients."""
    changes = ("fsdp=true", "monitor_every=2")
    assert _run(1, tmp_path / "one", *changes)[0] == 0
    for epochs in (2, 3):
        status, out, error = _run(2, tmp_path / "two", *changes, f"max_epoch={epochs}")
        assert status == 0, error
    assert "resuming at epoch 3" in out
    looks = [(tmp_path / n / "updates.jsonl").read_text().splitlines() for n in ("one", "two")]
    assert len(looks[0]) == len(looks[1]) == 4
    for mine, other in zip(*(map(json.loads, lines) for lines in looks), strict=True):
        assert mine["gradient"] == pytest.approx(other["gradient"], rel=1e-3, abs=1e-5)
    (one, lines), (two, others) = _result(tmp_path / "one"), _result(tmp_path / "two")
    for mine, other in zip(lines, others, strict=True):
        assert mine["split"] == "valid" or mine["loss"] == pytest.approx(other["loss"], rel=1e-5)
    for name, tensor in one.items():
        if name not in ROUNDING:
            assert torch.allclose(tensor, two[name], atol=1e-5), name


@pytest.mark.slow
def test_one_of_two_that_share_weights_killed(tmp_path):
    """The other one notices in the middle of a layer, and says no more about it than it has to."""
    status, _, error = _run(2, tmp_path, "fsdp=true", "kill=1@4")
    assert status == 128 + signal.SIGKILL and _seconds_since_the_end(tmp_path) < 60
    assert "process 2 of 2 was ended by SIGKILL" in error
    assert "Traceback" not in error and "while training on" not in error
    status, out, error = _run(2, tmp_path, "fsdp=true")
    assert status == 0 and "resuming at epoch 2, batch 0, update 3" in out, error


#: Two phases, a moving average, low-rank adaptation, frozen parts, and a schedule of the model.
TOGETHER_ALL = (
    "phases=[{name: a, epochs: 1, augment: false}, {name: b, epochs: 1, lr_factor: 0.5, freeze: [ctc]}]",
    "ema=0.9",
    "lora={rank: 2, targets: [encoder], train: [ctc, decoder]}",
    "freeze=[decoder.embed]",
    "model=espnet_ext.asr.model:HybridModel",
    "model_conf.ctc_weight={from: 0.9, to: 0.3, updates: 5}",
    "weight_decay_groups=true",
)


def _command(tiny, folder, *more):
    places = tiny.places("asr", folder, {"batch_size": 1.5, "accum_grad": 2, "num_workers": 1})
    named = {"config": places.config, "train": places.train[0], "valid": places.valid[0]}
    named |= {"tokens": places.tokens, "stats_dir": places.stats_dir, "output_dir": folder}
    words = [str(word) for name, path in named.items() for word in (f"--{name}", path)]
    command = [sys.executable, "-m", "espnet_ext.bin.asr_train", "--device", "cpu", *words, *more]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--set", "fsdp=true"), ("--set", *TOGETHER_ALL)])
def test_a_recogniser_in_one_process_and_in_two(tiny, tmp_path, more):
    """The same figures, dropout and SpecAugment and all, and weights that load as one process' do."""
    for number in (1, 2):
        done = _command(tiny, tmp_path / str(number), "--nproc", str(number), *more)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("final model") == 2
    rows = [
        [json.loads(line) for line in (tmp_path / n / "metrics.jsonl").read_text().splitlines()]
        for n in "12"
    ]
    for one, two in zip(*rows, strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
    for file in ("2epoch.pth", *(["valid.acc.ema.pth"] if TOGETHER_ALL[1] in more else [])):
        one, two = (torch.load(tmp_path / n / file) for n in "12")
        assert list(one) == list(two)
        for name, tensor in one.items():
            assert torch.allclose(tensor, two[name], atol=1e-3), name
    assert not list(tmp_path.glob("*/before-*"))


@pytest.mark.slow
def test_sigterm_to_the_starter_saves_and_one_process_goes_on(tmp_path):
    process = _start(2, tmp_path, "max_epoch=4000")
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM and error.count("stopped by SIGTERM") == 1
    status, out, error = _run(1, tmp_path, "max_epoch=1")
    assert status == 0 and "resuming at epoch" in out, error


@pytest.mark.slow
def test_what_another_process_says_is_shown(tmp_path):
    status, _, error = _run(2, tmp_path, "fail=1@1")
    assert status == 1 and error.count("bad luck") == 1


def test_each_process_has_a_batch_of_every_update(caplog):
    for wanted, size, found, said in (
        (1, 2, 2, "made it 2, a batch for each process; batch_size: 15 would keep"),
        (3, 2, 3, "some will wait"),
        (4, 2, 4, ""),
        (1, 1, 1, ""),
    ):
        caplog.clear()
        config = {**TRAINING, "batch_size": 30.0, "accum_grad": wanted}
        share_updates(config, Processes(0, size))
        assert config["accum_grad"] == found and (said in caplog.text if said else not caplog.text)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("group", [range(0), range(4, 5), range(3, 10)])
def test_every_batch_is_taken_once(size, group):
    shares = [list(Processes(rank, size).share(group)) for rank in range(size)]
    assert sorted(index for share in shares for index in share) == list(group)


def test_gradients_travel_in_their_order_each_kind_for_itself():
    tensors = [torch.zeros(5 << 20), torch.zeros(3), torch.zeros(4 << 20), torch.zeros(2).double()]
    found = [[t.numel() for t in bucket] for bucket in _buckets(tensors)]
    assert found == [[5 << 20, 3, 4 << 20], [2]]


def test_a_verdict_names_the_one_that_ended_first(tmp_path, capsys):
    said = [open(tmp_path / str(i), "w+") for i in range(3)]  # noqa: SIM115
    said[1].write("my reason\n"), said[2].write("not mine\n")
    assert _verdict([LOST, 1, LOST], said) == 1 and capsys.readouterr().err == "my reason\n"
    assert _verdict([1, 1, 1], said) == 1 and capsys.readouterr().err == ""
    assert _verdict([LOST, LOST, -9], said) == 137
    assert "not mine\nprocess 3 of 3 was ended by SIGKILL" in capsys.readouterr().err
    assert _verdict([0, 0, 0], said) == 0
