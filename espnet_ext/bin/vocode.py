"""Speak recordings again from their mel spectrograms (copy-synthesis), or spectrograms of an acoustic model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, jobs, run
from espnet_ext.text.lines import count


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="directory of the sets' data directories, e.g. dump/raw")
    add("sets", nargs="+", help="names of the sets")
    what = "trained vocoder, e.g. exp/voc_x; or ParallelWaveGAN's folder or checkpoint"
    add("--model_dir", type=Path, required=True, help=what)
    add("--model", help="its weights; if not given those that were best, e.g. valid.mel.best.pth")
    add("--output_dir", type=Path, required=True, help="receives SET/{wav,wav.scp}")
    what = "table of spectrograms in each set, e.g. feats.scp of tts_synthesize; of the recordings if not given"
    add("--mels", default="", help=what)
    what = "also write griffin_lim/SET, with so many iterations, to compare with; 0 = do not"
    add("--griffin_lim", type=count(0), default=0, help=what)
    add("--job", type=jobs, default=(1, 1), metavar="JOB/N", help="do this share only")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    args = parser.parse_args(argv)
    from espnet_ext.inference.vocoder import Vocoder, copy_synthesis, griffin_lim

    vocoder = Vocoder.from_dir(args.model_dir, args.model, device=args.device)
    front, (job, number) = vocoder.features, args.job
    what_for = (args.data, args.sets)
    copy_synthesis(
        vocoder, front, *what_for, args.output_dir, job, number, vocoder.identity, args.mels
    )
    if args.griffin_lim:
        beside, key = args.output_dir / "griffin_lim", f"griffin_lim {args.griffin_lim} {front}"
        speak = griffin_lim(front, args.griffin_lim)
        copy_synthesis(speak, front, *what_for, beside, job, number, key, args.mels)
    return 0


if __name__ == "__main__":
    run(main)
