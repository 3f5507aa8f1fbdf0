"""Write down what is said in recordings of any format, rate and length.

Long recordings are cut at their pauses. Text goes to standard output, or a file a recording into --output_dir.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, run
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    from espnet_ext.inference.speech2text import Speech2Text
    from espnet_ext.inference.transcribe import Cutting, Transcript


def get_parser() -> Parser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("files", nargs="+", help="recordings")
    add(
        "--model",
        required=True,
        help="folder of a training or weights in it (.pth), packed model (.zip), or name of the model zoo or of "
        "Hugging Face (user/name)",
    )
    add("--lm", help="folder of another language model than the one in the model; none = without")
    add(
        "--format",
        choices=("txt", "srt", "vtt", "json", "ctm"),
        default="txt",
        help="what to write",
    )
    add("--output_dir", type=Path, help="receives NAME.FORMAT for each recording")
    add(
        "--config",
        type=Path,
        help="YAML with beam_size, ctc_weight, method, boost, ...; the packed model's own if not given",
    )
    add("--beam", type=int, help="beam_size, instead of the YAML's")
    add(
        "--boost",
        action="append",
        metavar="PHRASE",
        help="one that is likelier than the model knows; may be repeated",
    )
    add(
        "--vad",
        choices=("auto", "silero", "energy", "none"),
        default="auto",
        help="how pauses are found in recordings longer than --longest; none = they are not cut",
    )
    add("--longest", type=float, default=25.0, help="longest piece in seconds, up to 60")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add(
        "--dtype",
        default="float32",
        help="what the encoder calculates in: float32, bfloat16, float16",
    )
    add(
        "--cache",
        type=Path,
        help="where packed models are unpacked to; ~/.cache/espnet_ext if not given",
    )
    return parser


def check_names(files: Sequence[str], output: Path | None, form: str) -> None:
    """Refuse what would leave an unusable or overwritten output.

    Raises:
        UserError: for several recordings whose subtitles would run into each other, or of one name.
    """
    if output is None and form in ("srt", "vtt") and len(files) > 1:
        raise UserError(
            f"found {len(files)} recordings for one {form} on standard output, expected one, or --output_dir"
        )
    stems = [Path(name).stem for name in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if output is not None and twice:
        raise UserError(
            f"found several recordings called {twice[0]}, expected different names: each becomes "
            f"{output / twice[0]}.{form}"
        )


def transcripts(
    recogniser: Speech2Text, files: Sequence[str], cutting: Cutting
) -> Iterator[Transcript]:
    """A transcript of each recording, with the progress in seconds of sound shown."""
    from espnet_ext.audio.read import seconds_of
    from espnet_ext.inference.transcribe import collect, segments_of
    from espnet_ext.progress import progress

    lengths = []
    for name in files:
        try:
            lengths.append(seconds_of(name))
        except UserError:  # said when its turn comes
            lengths.append(0.0)
    total = max(round(sum(lengths)), 1)
    shown = progress(range(total), total, "transcribe (seconds)")
    at = next(shown) + 1  # its clock runs from here

    def watched() -> Iterator:  # type: ignore[type-arg]
        nonlocal at
        for number, segment in segments_of(recogniser, files, cutting):
            while at < min(sum(lengths[:number]) + segment.end, total):
                next(shown, None)
                at += 1
            yield number, segment

    yield from collect(watched(), files)
    for _ in shown:
        pass


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    check_names(args.files, args.output_dir, args.format)
    from espnet_ext.audio.vad import Vad
    from espnet_ext.files import write_text
    from espnet_ext.inference.packed_options import read_decoding
    from espnet_ext.inference.speech2text import Speech2Text
    from espnet_ext.inference.subtitles import written
    from espnet_ext.inference.transcribe import Cutting

    boost = {"boost": tuple(args.boost)} if args.boost else {}
    recogniser = Speech2Text.from_pretrained(
        args.model,
        device=args.device,
        dtype=args.dtype,
        beam=args.beam,
        lm=args.lm != "none" and (args.lm or True),
        cache=args.cache,
        options=read_decoding(args.config) if args.config else None,
        **boost,
    )
    vad = None if args.vad == "none" else Vad(args.vad, pad=0.2)
    broken = []
    for found in transcripts(recogniser, args.files, Cutting(vad, args.longest)):
        broken += [found.error] if found.error else []
        text = written(found, args.format)
        if args.output_dir is not None:
            write_text(args.output_dir / f"{Path(found.name).stem}.{args.format}", text)
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    if broken:
        raise UserError(
            f"found {len(broken)} of {len(args.files)} recordings that cannot be read (the others are written): "
            f"{broken[0]}"
        )
    return 0


if __name__ == "__main__":
    run(main)
