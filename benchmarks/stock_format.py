"""What stage 3 of stock ESPnet does to one share of wav.scp, for benchmarks/data_stages.py.

ESPnet's own script for it lies in its checkout (egs2/TEMPLATE/asr1/pyscripts/audio/format_wav_scp.py), not in
the wheel. This does the same with the same calls: soundfile reads every file as float64, resampy changes a rate
that differs, espnet2.fileio.sound_scp writes what had to change, and a file that has the right form already is
only referred to.

Usage: python benchmarks/stock_format.py WAV_SCP OUT_DIR FS AUDIO_FORMAT
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    import soundfile
    from espnet2.fileio.sound_scp import SoundScpWriter

    scp, out, wanted, audio_format = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    subtype = soundfile.default_subtype(audio_format)
    writer = SoundScpWriter(out, out / "wav.scp", format=audio_format)
    with open(out / "utt2num_samples", "w") as lengths, open(scp) as lines:
        for line in lines:
            utt, path = line.strip().split(None, 1)
            with soundfile.SoundFile(path) as stream:
                rate, found, samples = stream.samplerate, stream.subtype, stream.read()
            right = found == subtype and Path(path).suffix == f".{audio_format}"
            if rate != wanted:
                import resampy

                samples, right = resampy.resample(samples, rate, wanted, axis=0), False
            if right:
                writer.fscp.write(f"{utt} {path}\n")
            else:
                writer[utt] = wanted, samples
            lengths.write(f"{utt} {len(samples)}\n")


if __name__ == "__main__":
    main()
