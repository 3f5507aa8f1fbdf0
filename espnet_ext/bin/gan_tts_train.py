"""Train a text-to-waveform model with a discriminator (VITS, JETS)."""

from espnet_ext.bin._training import train_command
from espnet_ext.bin.command import run

main = train_command("gan_tts", __doc__)

if __name__ == "__main__":
    run(main)
