"""Train a text-to-mel model on formatted data."""

from espnet_ext.bin._training import train_command
from espnet_ext.bin.command import run

main = train_command("tts", __doc__)

if __name__ == "__main__":
    run(main)
