"""Commands: `python -m espnet_ext.bin.<name> --help`."""
