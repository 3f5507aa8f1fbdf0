"""tools/run_jobs.py: arrays and single jobs, here and on a (pretended) Slurm cluster."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN_JOBS = Path(__file__).resolve().parents[2] / "tools" / "run_jobs.py"


def start(directory, *words, path=None, **env):
    command = [sys.executable, "-S", "-E", str(RUN_JOBS), *words]
    env = {
        **os.environ,
        "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"],
        **env,
    }
    return subprocess.Popen(
        command, cwd=directory, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def run_jobs(directory, *words, status=0, path=None, **env):
    running = start(directory, *words, path=path, **env)
    text = running.communicate(timeout=60)[0]
    assert running.returncode == status, text
    return text


def wait_for(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def alive(pid):
    return Path(f"/proc/{pid}").exists() and "\tZ" not in Path(f"/proc/{pid}/status").read_text()


# Calling convention and logs


def test_array_puts_the_number_for_job_everywhere(tmp_path):
    text = run_jobs(tmp_path, "JOB=1:3", "logs/x.JOB.log", "echo", "share", "JOB/3", "of-JOB")
    assert "3 of 3 jobs done" in text
    for job in (1, 2, 3):
        log = (tmp_path / f"logs/x.{job}.log").read_text()
        assert log.startswith(f"# echo share {job}/3 of-{job}\n# Running on ")
        assert f"\nshare {job}/3 of-{job}\n" in log
        assert "# Ended (code 0) at " in log and "# Accounting: time=" in log


def test_single_job_is_shown_and_logged_as_it_runs(tmp_path):
    running = start(
        tmp_path, "x.log", "sh", "-c", "echo first; while [ ! -e go ]; do sleep .02; done"
    )
    assert running.stdout.readline() == "first\n"
    assert "first" in (tmp_path / "x.log").read_text()
    (tmp_path / "go").touch()
    running.communicate(timeout=20)
    assert running.returncode == 0


def test_a_child_left_behind_does_not_hold_us_up(tmp_path):
    started = time.monotonic()
    run_jobs(tmp_path, "x.log", "sh", "-c", "sleep 30 & echo $! > pid")
    assert time.monotonic() - started < 10
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpus", "1", "x.log", "true"], "no option --gpus"),
        (["--gpu", "one", "JOB=1:2", "x.JOB.log", "true"], "expected a whole number"),
        (["--gpu"], "its value is missing"),
        (["JOB=3:1", "x.JOB.log", "true"], "1 <= FIRST <= LAST"),
        (["JOB=1:2", "x.log", "true"], "expected JOB in its name"),
        (["x.log"], "expected [options] [JOB=1:N] LOG COMMAND"),
        (["--backend", "moon", "x.log", "true"], "expected local or slurm"),
        (["x.log", "no-such-program"], "no program 'no-such-program'"),
    ],
)
def test_bad_usage_exits_2(tmp_path, words, message):
    text = run_jobs(tmp_path, *words, status=2)
    assert message in text and "Traceback" not in text


def test_a_full_disk_is_one_line(tmp_path):
    text = run_jobs(tmp_path, "/dev/full", "true", status=1)
    assert "the disk is full" in text and len(text.splitlines()) == 1


# Progress

BAR = """
import sys, time
from espnet_ext.progress import progress
print("epoch 1", flush=True)
for _ in progress(range(9), 9, "train"):
    time.sleep(0.05 if sys.argv[1:] else 0.1)
print("loss 3\\r", flush=True)
"""


def on_a_terminal(directory, *words):
    """What a person sees of run_jobs.py: it writes to a terminal, not into a pipe."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-S", "-E", str(RUN_JOBS), *words]
    env = {**os.environ, "PYTHONPATH": str(RUN_JOBS.parents[1])}
    running = subprocess.Popen(command, cwd=directory, env=env, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    try:
        while piece := os.read(controller, 65536):
            seen += piece
    except OSError:  # what Linux says when the other end is closed
        pass
    os.close(controller)
    assert running.wait(20) == 0, seen
    return seen.decode()


def test_a_job_draws_its_bar_on_a_terminal_and_not_in_its_log(tmp_path):
    (tmp_path / "job.py").write_text(BAR)
    seen = on_a_terminal(tmp_path, "x.log", sys.executable, "job.py")
    assert "\r███" in seen.replace("░", "") and "epoch 1" in seen
    log = (tmp_path / "x.log").read_bytes().decode()
    assert [line for line in log.split("\n") if line[:1] != "#"][:3] == [
        "epoch 1",
        "train: 9 done in 1s",
        "loss 3",
    ]
    assert "\r" not in log and "\033" not in log


def test_jobs_without_a_terminal_or_of_an_array_draw_no_bar(tmp_path):
    env = {"PYTHONPATH": str(RUN_JOBS.parents[1]), "ESPNET_EXT_PROGRESS": "bar"}
    assert "█" not in run_jobs(tmp_path, "x.log", sys.executable, "-c", BAR, **env)
    seen = on_a_terminal(tmp_path, "JOB=1:2", "y.JOB.log", sys.executable, "-c", BAR, "quick")
    assert "2 of 2 jobs done" in seen
    assert "█" not in (tmp_path / "x.log").read_text() + (tmp_path / "y.1.log").read_text()


# Local jobs


def test_first_failure_ends_the_others_and_is_shown(tmp_path):
    script = "[ JOB = 2 ] && { sleep .1; echo 'no phoneme x'; exit 7; }; sleep 60 & echo $! > pid.JOB; wait"
    text = run_jobs(
        tmp_path, "--max_jobs_run", "3", "JOB=1:3", "x.JOB.log", "sh", "-c", script, status=7
    )
    assert "job 2 of 3 failed with exit status 7; log: x.2.log" in text
    assert "  | no phoneme x" in text
    for path in tmp_path.glob("pid.*"):
        wait_for(lambda pid=path.read_text().strip(): not pid or not alive(pid))


def test_at_most_max_jobs_run_at_once(tmp_path):
    script = "echo >> n.JOB; ls n.* | wc -l >> counts; sleep .1; rm n.JOB"
    run_jobs(tmp_path, "--max-jobs-run", "2", "JOB=1:5", "x.JOB.log", "sh", "-c", script)
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert len(counts) == 5 and max(counts) <= 2


def test_threads_of_an_array_are_given_or_a_share_of_the_cores(tmp_path):
    words = ["x.JOB.log", "sh", "-c", "echo $OMP_NUM_THREADS $MKL_NUM_THREADS > threads.JOB"]
    run_jobs(tmp_path, "--num_threads", "3", "JOB=1:2", *words)
    assert (tmp_path / "threads.2").read_text() == "3 3\n"
    cores = len(os.sched_getaffinity(0))
    run_jobs(tmp_path, "--max_jobs_run", str(2 * cores), f"JOB=1:{2 * cores}", *words)
    assert (tmp_path / "threads.1").read_text() == "1 1\n"


def test_gpu_jobs_have_a_device_each(tmp_path):
    script = 'echo "$CUDA_VISIBLE_DEVICES" > gpu.JOB; sleep .2'
    words = ["--gpu", "1", "JOB=1:4", "x.JOB.log", "sh", "-c", script]
    run_jobs(tmp_path, *words, CUDA_VISIBLE_DEVICES="4,7")
    assert sorted((tmp_path / f"gpu.{job}").read_text().strip() for job in (1, 2, 3, 4)) == list(
        "4477"
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("array", [["JOB=1:2", "x.JOB.log"], ["x.log"]])
def test_a_signal_ends_jobs_and_their_children(tmp_path, how, array):
    running = start(tmp_path, *array, "sh", "-c", "sleep 60 & echo $! > pid.$$; wait")
    wait_for(lambda: len([p for p in tmp_path.glob("pid.*") if p.read_text()]) == len(array))
    running.send_signal(how)
    assert "stopped by" in running.communicate(timeout=20)[0]
    assert running.returncode == 128 + how
    for path in tmp_path.glob("pid.*"):
        wait_for(lambda pid=path.read_text().strip(): not alive(pid))


# Slurm, pretended: sbatch runs the tasks in the background

SBATCH = """#!/usr/bin/env python3
import os, re, subprocess, sys
if os.path.exists("sbatch.down"):
    os.remove("sbatch.down")
    sys.exit("sbatch: error: Unable to contact slurm controller")
script = sys.argv[-1]
text = open(script).read()
open("script", "w").write(text)
array = re.search(r"--array=(\\d+)-(\\d+)", text)
tasks = range(int(array[1]), int(array[2]) + 1) if array else [""]
code = ""
for task in tasks:
    if not os.path.exists(f"lost.{task}"):
        code += f"SLURM_ARRAY_TASK_ID={task} bash {script} & echo $! >> pids; "
if os.path.exists("lost.all"):
    code = "true"
subprocess.Popen(["sh", "-c", code + " wait; touch left"], stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL, start_new_session=True)
print("4242;cluster")
"""
SQUEUE = """#!/bin/sh
echo x >> squeue.calls
[ "$(wc -l < squeue.calls)" = 1 ] && { echo 'squeue: error: Socket timed out' >&2; exit 1; }
[ -e left ] || echo 4242 RUNNING
exit 0
"""
SCANCEL = '#!/bin/sh\necho "$@" > cancelled\nkill $(cat pids) 2> /dev/null\nexit 0\n'
SACCT = "#!/bin/sh\necho OUT_OF_MEMORY\n"


@pytest.fixture
def cluster(tmp_path):
    for name, text in (
        ("sbatch", SBATCH),
        ("squeue", SQUEUE),
        ("scancel", SCANCEL),
        ("sacct", SACCT),
    ):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("/usr/bin/env python3", sys.executable))
        path.chmod(0o755)
    (tmp_path / "slurm.conf").write_text(
        "cpus-per-task = {num_threads}  # cores\nmem = {mem}\npartition = cpu\n"
        "gpu.partition = gpu\ngpu.gres = gpu:{gpu}\npoll_seconds = 0.05\ngone_seconds = 0.3\n"
    )

    def call(*words, status=0):
        return run_jobs(
            tmp_path, "--backend", "slurm", "--config", "slurm.conf", *words,
            status=status, path=tmp_path / "bin",
        )  # fmt: skip

    call.directory = tmp_path
    return call


def test_slurm_array(cluster):
    text = cluster("--mem", "4G", "--max_jobs_run", "2", "JOB=1:3", "l/x.JOB.log", "echo", "n-JOB")
    assert "slurm job 4242: 3 submitted" in text and "3 of 3 jobs done" in text
    script = (cluster.directory / "script").read_text()
    assert "#SBATCH --array=1-3%2\n" in script
    assert "#SBATCH --mem=4G\n" in script and "#SBATCH --cpus-per-task=1\n" in script
    assert "#SBATCH --partition=cpu\n" in script and "gres" not in script
    log = (cluster.directory / "l/x.2.log").read_text()
    assert "\nn-2\n" in log and "# Ended (code 0)" in log
    assert not list(cluster.directory.glob("l/.slurm-*"))


def test_slurm_single_gpu_job_is_shown_while_it_runs(cluster):
    text = cluster("--gpu", "2", "x.log", "echo", "epoch 1")
    assert "\nepoch 1\n" in text
    script = (cluster.directory / "script").read_text()
    assert "--partition=gpu\n" in script and "--gres=gpu:2\n" in script
    assert "--partition=cpu" not in script and "--mem" not in script


def test_slurm_shows_no_line_of_an_earlier_runs_log(cluster):
    """The new job's log begins as the old one did, and is longer by the time it is looked at first."""
    (cluster.directory / "x.log").write_text("# old\nepoch 1 of the old run\n")
    text = cluster("x.log", "sh", "-c", "sleep 0.3; echo epoch 1; sleep 0.3; echo epoch 2")
    assert "old run" not in text
    assert "\nepoch 1\n" in text and "\nepoch 2\n" in text


def test_slurm_log_that_begins_again_is_shown_from_its_start(cluster):
    """What a requeued job does: its node opens the log anew."""
    again = 'for i in 1 2 3 4 5 6; do echo "try 1 line $i"; done; sleep 0.3; echo try 2 > x.log; sleep 0.3'
    assert "try 2\n" in cluster("x.log", "sh", "-c", again)


def test_slurm_lost_job_is_not_blamed_with_an_earlier_runs_words(cluster):
    (cluster.directory / "x.log").write_text("no phoneme of the old run\n")
    (cluster.directory / "lost.all").touch()
    text = cluster("x.log", "true", status=1)
    assert "left the queue without a word" in text and "old run" not in text


def test_slurm_failure_shows_the_task_and_cancels_the_rest(cluster):
    command = ["sh", "-c", "[ JOB = 2 ] && { echo 'no phoneme x'; exit 7; }; sleep 60"]
    text = cluster("JOB=1:3", "x.JOB.log", *command, status=7)
    assert "slurm job 4242_2 (job 2 of 3) failed with exit status 7; log: x.2.log" in text
    assert "  | no phoneme x" in text
    assert (cluster.directory / "cancelled").read_text() == "4242\n"


def test_slurm_job_that_dies_without_a_word(cluster):
    (cluster.directory / "lost.2").touch()
    text = cluster("JOB=1:2", "x.JOB.log", "true", status=1)
    assert "left the queue without a word: OUT_OF_MEMORY" in text
    assert "4242_2 (job 2 of 2) failed" in text


def test_slurm_survives_a_controller_that_is_away(cluster):
    (cluster.directory / "sbatch.down").touch()
    cluster("JOB=1:2", "x.JOB.log", "sleep", "0.3")
    assert len((cluster.directory / "squeue.calls").read_text().split()) > 1  # the first one failed


def test_slurm_interrupted_cancels_the_job(cluster):
    running = start(
        cluster.directory, "--backend", "slurm", "--config", "slurm.conf", "x.log", "sleep", "60",
        path=cluster.directory / "bin",
    )  # fmt: skip
    wait_for(lambda: (cluster.directory / "pids").exists())
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    assert running.returncode == 130
    assert (cluster.directory / "cancelled").read_text() == "4242\n"


def test_slurm_conf_with_a_bad_line(cluster):
    (cluster.directory / "slurm.conf").write_text("partition\n")
    assert "slurm.conf:1: found 'partition', expected key = value" in cluster(
        "x.log", "true", status=2
    )


def test_no_slurm_here(tmp_path):
    text = run_jobs(tmp_path, "--backend", "slurm", "x.log", "true", status=2, PATH="/nonexistent")
    assert "no sbatch here" in text
