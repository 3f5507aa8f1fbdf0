"""Train a speech recogniser (hybrid CTC/attention or transducer) on formatted data."""

from espnet_ext.bin._training import train_command
from espnet_ext.bin.command import run

main = train_command("asr", __doc__)

if __name__ == "__main__":
    run(main)
