"""Kaldi data directories: read, write, validate, fix, split, subset, combine and copy them.

A data directory holds tables of `key value` lines sorted in the C locale: `wav.scp`, `text`,
`utt2spk`, `spk2utt` and more. A key has no white space; a value is the rest of the line.
"""

from espnet_ext.datadir.check import Problems, check, validate
from espnet_ext.datadir.combine import combine
from espnet_ext.datadir.edit import copy, fix, split, subset, utt2dur
from espnet_ext.datadir.tables import (
    Segment,
    invert,
    numbers_in,
    read_segments,
    read_table,
    sort_key,
    write_spk2utt,
    write_table,
)

__all__ = [
    "Problems",
    "Segment",
    "check",
    "combine",
    "copy",
    "fix",
    "invert",
    "numbers_in",
    "read_segments",
    "read_table",
    "sort_key",
    "split",
    "subset",
    "utt2dur",
    "validate",
    "write_spk2utt",
    "write_table",
]
