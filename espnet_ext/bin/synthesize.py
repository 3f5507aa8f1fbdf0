"""Speak a text of any length with a trained model, into an audio file.

Long texts are spoken sentence by sentence. A text that begins with <speak> is SSML.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_ext.bin.command import Parser, number, run
from espnet_ext.errors import UserError

if TYPE_CHECKING:
    from espnet_ext.inference.text2speech import Speech, Text2Speech


def get_parser() -> Parser:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("text", nargs="?", help="what to say")
    add("--file", help="a UTF-8 text file in place of the text; - = standard input")
    add("-o", "--output", required=True, help=".wav, .flac or .ogg; - = WAV on standard output")
    add(
        "--model",
        required=True,
        help="folder of a training, packed model (.zip), or name of the model zoo or of Hugging Face (user/name)",
    )
    add("--vocoder", help="the same for a vocoder; default: the model's own, or Griffin-Lim")
    what = "a speaker's number, a .npy file with a speaker embedding, or a recording whose style is taken (use_gst)"
    what += "; repeat it for a model that wants two, e.g. --voice 1 --voice a.npy"
    add("--voice", action="append", help=what)
    add("--language", help="name or number of a language, for a model of several")
    add("--speed", type=number, help="2 is twice as fast")
    add("--pitch", type=number, help="semitones above the model's own")
    add("--config", type=Path, help="YAML with energy_factor, pause, longest, ...")
    add("--stream", action="store_true", help="write each phrase as soon as it is spoken")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add(
        "--cache",
        type=Path,
        help="where packed models are unpacked to; ~/.cache/espnet_ext if not given",
    )
    return parser


def words_of(text: str | None, file: str | None) -> str:
    """What is to be said.

    Raises:
        UserError: unless it is given in one of the two ways.
    """
    from espnet_ext.text.lines import read_text

    if (text is None) == (file is None):
        raise UserError(
            f"found {'neither a text nor' if text is None else 'a text and'} --file, expected one of them"
        )
    return str(text) if file is None else read_text(file)


def pieces_of(speaker: Text2Speech, text: str, stream: bool) -> Iterable[Speech]:
    """The speech; of a long text sentence by sentence, with how far it is. To `stream` makes the first piece short."""
    from espnet_ext.inference.phrases import sentences
    from espnet_ext.progress import progress
    from espnet_ext.text.ssml import is_ssml

    total = len(sentences(re.sub(r"<[^>]*>", " ", text) if is_ssml(text) else text))
    if total <= 3:
        return speaker.stream(text) if stream else (speaker(text) for _ in range(1))
    pieces = speaker.stream(text, soon=stream)
    return progress(pieces, total, "synthesise (sentences)")


def main(argv: Sequence[str] | None = None) -> int:
    args = get_parser().parse_args(argv)
    text = words_of(args.text, args.file)
    from espnet_ext.inference.decode import read_options
    from espnet_ext.inference.speech_file import check_name, pipe_speech, write_speech
    from espnet_ext.inference.text2speech import SynthesisOptions, Text2Speech

    check_name(args.output)
    speaker = Text2Speech.from_pretrained(
        args.model,
        device=args.device,
        vocoder=args.vocoder,
        voice=args.voice,
        language=args.language,
        speed=args.speed,
        pitch=args.pitch,
        cache=args.cache,
        options=read_options(args.config, SynthesisOptions),
    )
    pieces = pieces_of(speaker, text, args.stream)
    if args.output == "-":
        pipe_speech(pieces, sys.stdout.buffer, speaker.rate)
        return 0
    seconds = write_speech(pieces, args.output, speaker.rate, args.stream)
    print(f"{args.output}: {seconds:.2f} s of speech")
    return 0


if __name__ == "__main__":
    run(main)
