"""Train a language model on text."""

from espnet_ext.bin._training import train_command
from espnet_ext.bin.command import run

main = train_command("lm", __doc__)

if __name__ == "__main__":
    run(main)
