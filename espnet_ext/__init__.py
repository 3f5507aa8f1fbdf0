"""Recipes and modules that extend the ESPnet speech toolkit.

Importing this package is free: no torch, no espnet, no files, no network. It only leaves a note with the
import system, so that stock ESPnet, whenever it is imported, understands `encoder: package.module:Class`.
"""

from espnet_ext.bridge.hook import install

__version__ = "0.1.0"

install()
