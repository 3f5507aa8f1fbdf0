"""Score synthesised speech against recordings: spectra, F0, energy, durations, PESQ, STOI; CER and MOS if wanted.

With --model_dir the table also has the recordings themselves, and speech made again of their own spectrograms by
Griffin-Lim and by --vocoder: what a perfect synthesiser would get.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, run
from espnet_ext.text.lines import count

if TYPE_CHECKING:
    from espnet_ext.metrics.tts_report import How, SpeechScores

_PLACE = "a file, or the word installed for that of the package"


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("sets", nargs="*", help="names of the sets; all that were synthesised if none is named")
    add("--ref", type=Path, required=True, help="directory of the sets' data, e.g. dump/raw")
    add("--hyp", type=Path, required=True, help="synthesis directory, with SET/wav.scp below it")
    durations = (
        "directory with SET/durations, frames of each token in the recordings; REF if it has some"
    )
    add("--durations", type=Path, metavar="DIR", help=durations)
    add("--model_dir", type=Path, help="the synthesiser: also score the recordings, made again")
    add("--vocoder", help="with --model_dir: folder of a trained vocoder")
    add(
        "--griffin_lim",
        type=count(0),
        default=60,
        help="with --model_dir: iterations; 0 = without it",
    )
    what = "recogniser whose errors are counted: folder of a training, packed model, or name in the model zoo"
    add("--asr", metavar="MODEL", help=what)
    add("--asr_config", type=Path, help="YAML of its search: beam_size, ctc_weight, ...")
    spoken = "of the texts, e.g. de: numbers count in its words; that of --model_dir's g2p, or English, if not given"
    add("--language", metavar="CODE", help=spoken)
    add("--dnsmos", metavar="MODEL", help=f"predict quality by DNSMOS, package speechmos: {_PLACE}")
    add("--utmos", metavar="DIR", help="predict naturalness by this copy of UTMOS' torch hub")
    add(
        "--speaker_encoder",
        metavar="MODEL",
        help=f"compare the voices by Resemblyzer's encoder: {_PLACE}",
    )
    add("--device", default="cpu", help="where the recogniser runs: cpu, cuda, cuda:1 ...")
    add("--nj", type=count(1), default=1, help="number of processes")
    add("--samples", type=count(1), default=1000, help="draws of the bootstrap intervals")
    add("--seed", type=count(0), default=0, help="seed of the bootstrap intervals")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)

    from espnet_ext.metrics.provenance import provenance
    from espnet_ext.metrics.tables import find_sets
    from espnet_ext.metrics.tts_report import score_set, write_results

    sets = find_sets(args.hyp, "wav.scp", args.sets)
    how = _how(args)
    scores = [score_set(args.ref / name, args.hyp / name, how) for name in sets]
    source = provenance("score_tts", argv)
    table = write_results(args.hyp, scores, source, args.samples, args.seed)
    try:  # what stands beside may fail; these results are written
        if beside := _beside(args, scores, how):
            table = write_results(args.hyp, [*scores, *beside], source, args.samples, args.seed)
    finally:
        print(table)
    return 0


def _how(args: argparse.Namespace) -> How:
    """Judges and recogniser that are asked for, loaded."""
    from espnet_ext.metrics.tts_report import How

    judges, recogniser = [], None
    if args.dnsmos or args.utmos or args.speaker_encoder:
        from espnet_ext.metrics.judges import judges as load_judges

        judges = load_judges(args.dnsmos, args.utmos, args.speaker_encoder)
    if args.asr:
        from espnet_ext.inference.decode import read_options
        from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

        options = read_options(args.asr_config, DecodeOptions) if args.asr_config else None
        recogniser = Speech2Text.from_pretrained(args.asr, device=args.device, options=options)
    return How(args.nj, tuple(judges), recogniser, args.durations, _language(args))


def _language(args: argparse.Namespace) -> str:
    """In whose words numbers are compared."""
    if args.language or not (args.asr and args.model_dir):
        return str(args.language or "en").lower().partition("-")[0]
    from espnet_ext.metrics.spelling import language_of_model

    return language_of_model(args.model_dir / "config.yaml")


def _beside(
    args: argparse.Namespace, scores: Sequence[SpeechScores], how: How
) -> list[SpeechScores]:
    """The recordings, and what is made of their spectrograms."""
    if args.model_dir is None:
        return []
    from espnet_ext.metrics.beside import RECORDING, resynthesise
    from espnet_ext.metrics.tts_report import score_recordings, score_set

    sets = [score.dataset for score in scores]
    made = resynthesise(args.model_dir, args.ref, sets, args.hyp, args.vocoder, args.griffin_lim)
    found = []
    for score in scores:
        ref = args.ref / score.dataset
        folder = args.hyp / RECORDING / score.dataset
        found.append(score_recordings(ref, folder, list(score.utterances), how))
        found += [
            score_set(ref, args.hyp / name / score.dataset, how, name, score.utterances)
            for name in made
        ]
    return found


if __name__ == "__main__":
    run(main)
