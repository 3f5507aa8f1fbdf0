"""Speak the texts of data directories with a trained model; a text may be SSML: <speak> ... </speak>.

Of SSML these are spoken: break, s, p, sub, say-as, phoneme, emphasis, prosody rate, pitch and volume; single words are
slower or faster by models with control of each token (AcousticModel), else a new phrase begins where the rate changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.bin.command import Parser, jobs, run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("data", type=Path, help="directory of the sets' data directories, e.g. dump/raw")
    add("sets", nargs="+", help="names of the sets")
    add("--model_dir", type=Path, required=True, help="trained synthesiser, e.g. exp/tts_x")
    add("--model", default="valid.loss.ave.pth", help="its weights")
    add("--task", choices=("tts", "gan_tts"), default="tts", help="kind of model")
    what = "trained vocoder, e.g. ../voc1/exp/voc_x, or ParallelWaveGAN's checkpoint; default: Griffin-Lim"
    add("--vocoder", type=Path, help=what)
    add(
        "--config",
        type=Path,
        help="YAML with speed_control_alpha, pitch_shift, griffin_lim_iters, ...",
    )
    add(
        "--output_dir",
        type=Path,
        required=True,
        help="receives SET/{wav,wav.scp,feats.scp,durations}",
    )
    add(
        "--ssml", action="store_true", help="every text is SSML; else those that begin with <speak>"
    )
    what = "write SET/mels.scp instead: spectrograms with the recordings' own timing and pitch, to train a vocoder on"
    add("--teacher_forced", action="store_true", help=what)
    add("--job", type=jobs, default=(1, 1), metavar="JOB/N", help="do this share only")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    args = parser.parse_args(argv)
    from espnet_ext.inference.decode import read_options
    from espnet_ext.inference.ssml_speech import ALWAYS, AUTO
    from espnet_ext.inference.synthesize import synthesize_sets
    from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech
    from espnet_ext.inference.vocoder import Vocoder

    speaker = Text2Speech.from_dir(
        args.model_dir,
        args.model,
        task=args.task,
        options=read_options(args.config, SynthesisOptions),
        device=args.device,
        vocoder=args.vocoder and Vocoder.from_dir(args.vocoder, device=args.device),
    )
    markup = ALWAYS if args.ssml else AUTO
    job, jobs_ = args.job
    if args.teacher_forced:
        from espnet_ext.inference.teacher_forced import write_teacher_forced

        write_teacher_forced(speaker, args.data, args.sets, args.output_dir, job, jobs_)
        return 0
    synthesize_sets(speaker, args.data, args.sets, args.output_dir, job, jobs_, markup)
    return 0


if __name__ == "__main__":
    run(main)
