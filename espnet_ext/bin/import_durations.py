"""Write `durations` (frames of each token) of formatted sets: from TextGrids of a forced aligner, or a trained model.

AcousticModel with tts_conf's alignment: {learned: false} and ESPnet's FastSpeech train on them. What was aligned must
be the formatted recordings, and the phones those of the tokens (for g2p_en e.g. the aligner's english_us_arpa).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="directory of the sets' data directories, e.g. dump/raw")
    add("sets", nargs="+", metavar="SET", help="they get a table `durations`")
    either = parser.add_mutually_exclusive_group(required=True)
    what = "folder of UTTERANCE.TextGrid, as the Montreal Forced Aligner writes them"
    either.add_argument("--textgrids", type=Path, help=what)
    either.add_argument(
        "--teacher", type=Path, help="trained synthesiser of ours that aligns by itself"
    )
    add("--tokens", type=Path, help="directory made by train_tokens (with --textgrids)")
    what = "the YAML that the durations are for: its front end counts frames (with --textgrids)"
    add("--config", type=Path, help=what)
    add("--tier", default="phones", help="name of the tier of phones")
    add("--model", default="valid.loss.ave.pth", help="weights of the teacher")
    add("--device", default="cpu", help="of the teacher: cpu, cuda, cuda:1 ...")
    what = "leave out utterances whose phones are not those of their tokens; run fix_data then"
    add("--skip_bad", action="store_true", help=what)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.textgrids and not (args.tokens and args.config):
        parser.error("--textgrids needs --tokens and --config")
    from espnet_ext.inference import durations

    if args.textgrids:
        files = durations.textgrids_in(args.textgrids)
        pipeline = durations.pipeline_of(args.tokens, args.config)
    else:
        from espnet_ext.inference.text2speech import Text2Speech

        speaker = Text2Speech.from_dir(args.teacher, args.model, device=args.device)
    for name in args.sets:
        folder = args.data / name
        source: durations.Source
        if args.textgrids:
            clocks = durations.clocks_of(folder, args.config)
            source = durations.TextGrids(files, pipeline, clocks, args.tier)
        else:
            source = durations.Teacher(speaker, folder)
        wrong = durations.write_durations(folder, source, name, args.skip_bad)
        said = "".join(f"\n  {utt}: {why}" for utt, why in list(wrong.items())[:10])
        left = f"; {len(wrong)} left out, run fix_data on it:{said}" if wrong else ""
        print(f"{folder}/durations{left}")
    return 0


if __name__ == "__main__":
    run(main)
