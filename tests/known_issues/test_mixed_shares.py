"""Decoding again with the same number of jobs put the last model's words among the new ones."""

import multiprocessing

import pytest

from espnet_ext.datadir import read_table
from espnet_ext.inference.decode import decode_sets
from espnet_ext.inference.shares import Share, share_of
from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
from espnet_ext.inference.synthesize import synthesize_sets
from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech


def test_another_search_over_the_same_folder(tiny, tmp_path):
    data, out = tiny.valid.parent, tmp_path / "valid"
    engines = [
        Speech2Text.from_dir(tiny.model("asr"), options=DecodeOptions(beam_size=2, penalty=penalty))
        for penalty in (0.0, 1.0)
    ]
    for job in (1, 2):
        decode_sets(engines[0], data, ["valid"], tmp_path, job, 2)
    before = read_table(out / "score")
    decode_sets(engines[1], data, ["valid"], tmp_path, 1, 2)
    assert read_table(out / "score") == before  # the old whole, until there is a new one
    decode_sets(engines[1], data, ["valid"], tmp_path, 2, 2)
    after = read_table(out / "score")
    assert all(after[utt] != before[utt] for utt in before)


def test_features_of_a_synthesis_outlive_the_one_after(tiny, tmp_path):
    import kaldiio

    data = tiny.valid.parent
    for alpha, jobs in ((1.0, 1), (3.0, 2), (1.0, 2)):
        options = SynthesisOptions(speed_control_alpha=alpha, griffin_lim_iters=1)
        speaker = Text2Speech.from_dir(tiny.model("tts"), options=options)
        for job in range(1, jobs + 1):
            if job == 2:  # of the old run all is still there
                assert len(dict(kaldiio.load_scp(str(tmp_path / "valid/feats.scp")).items())) == 3
            synthesize_sets(speaker, data, ["valid"], tmp_path, job, jobs)
        feats = dict(kaldiio.load_scp(str(tmp_path / "valid/feats.scp")).items())
        durations = read_table(tmp_path / "valid/durations")
        for utt, row in durations.items():
            assert len(feats[utt]) == sum(map(int, row.split()))


ROWS = {f"u{i:03d}": "x" for i in range(200)}


def _one_job(folder, key, job, start):
    mine = {utt: key for utt, _ in share_of(sorted(ROWS.items()), job, 2)}
    start.wait()
    Share(folder, key, job, 2).write(dict.fromkeys(("text", "token", "score"), mine))


@pytest.mark.parametrize("attempt", range(3))
def test_two_processes_that_end_together_over_leftovers(tmp_path, attempt):
    context = multiprocessing.get_context("fork")
    for key in ("old", f"new{attempt}"):
        start = context.Barrier(2)
        pair = [
            context.Process(target=_one_job, args=(tmp_path, key, job, start)) for job in (1, 2)
        ]
        for process in pair:
            process.start()
        for process in pair:
            process.join(60)
            assert process.exitcode == 0
        for name in ("text", "token", "score"):
            assert read_table(tmp_path / name) == dict.fromkeys(ROWS, key)
