"""Teach stock ESPnet dotted paths, our text cleaners and our phoneme converters, without importing it.

ESPnet's `ClassChoices` maps short names to classes. A post-import hook changes that one class when (and only
when) somebody imports it, so `encoder: my_package.my_module:MyEncoder` works in every stock ESPnet command of
a process in which `espnet_ext` has been imported. In the same way its `TextCleaner` learns ours, and its
`PhonemeTokenizer` the converters that only we have: `espeak:<code>` and a user's own lexicon.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from espnet_ext.bridge.trust import refuse_foreign
from espnet_ext.errors import UserError


def import_class(path: str) -> Any:
    """The class (or function) that `package.module:Name` names.

    Raises:
        UserError: if the module cannot be imported or has no such name, or a stranger's model may not name it.
    """
    refuse_foreign(path)
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path}: no module named {error.name!r}; expected package.module:Class with the module on PYTHONPATH"
        ) from error
    if not hasattr(module, attribute):
        where = getattr(module, "__file__", None) or "a folder without __init__.py"
        raise UserError(f"{path}: module {module_name} (found at {where}) has no {attribute!r}")
    return getattr(module, attribute)


def check_base(kind: str, path: str, found: Any, base: type | None) -> Any:
    """`found`, which `path` named, if it inherits from what ESPnet asks of a `kind`.

    Raises:
        UserError: if it is not a class, or one of another family.
    """
    if base is not None and not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(
            f"{kind}: {path} is not a {base.__name__} ({base.__module__}), which it must inherit from"
        )
    return found


class _Names(tuple):  # type: ignore[type-arg]
    """ESPnet's tuple of short names, which argparse checks against; a dotted path is welcome too."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and ":" in name)


def _teach_cleaner(module: ModuleType) -> None:
    """Let `TextCleaner` know our cleaners; they come before stock's own."""
    cls = module.TextCleaner
    if hasattr(cls, "knows_ours"):
        return
    cls.knows_ours = True
    stock_init, stock_call = cls.__init__, cls.__call__

    def init(self: Any, cleaner_types: Any = None) -> None:
        from espnet_ext.text.cleaners import OURS, make_cleaner

        stock_init(self, cleaner_types)
        self.ours = [make_cleaner(t) for t in self.cleaner_types if t in OURS]
        self.cleaner_types = [t for t in self.cleaner_types if t not in OURS]

    def call(self: Any, text: str) -> str:
        for clean in self.ours:
            text = clean(text)
        return str(stock_call(self, text))

    cls.__init__, cls.__call__ = init, call


def _teach_phonemes(module: ModuleType) -> None:
    """Let `PhonemeTokenizer` know `espeak:<code>` and lexicon files."""
    cls = module.PhonemeTokenizer
    if hasattr(cls, "knows_ours"):
        return
    cls.knows_ours = True
    stock_init = cls.__init__

    def init(self: Any, g2p_type: str | None, *args: Any, **more: Any) -> None:
        known = g2p_type is None or g2p_type in module.g2p_choices
        ours = not known and (":" in str(g2p_type) or os.path.isfile(str(g2p_type)))
        stock_init(self, None if ours else g2p_type, *args, **more)
        if ours:
            from espnet_ext.text.phonemes import make_g2p

            self.g2p, self.g2p_type = make_g2p(g2p_type), g2p_type

    cls.__init__ = init


def _teach_choices(module: ModuleType) -> None:
    """Give `ClassChoices` its new ability."""
    cls = module.ClassChoices
    if hasattr(cls, "knows_dotted_paths"):
        return
    cls.knows_dotted_paths = True
    stock_choices, stock_get, stock_add = cls.choices, cls.get_class, cls.add_arguments

    def choices(self: Any) -> tuple[Any, ...]:
        return _Names(stock_choices(self))

    def get_class(self: Any, name: str | None) -> Any:
        if name is None or ":" not in name:
            return stock_get(self, name)
        return check_base(self.name, name, import_class(name), self.base_type)

    def add_arguments(self: Any, parser: Any) -> None:
        stock_add(self, parser)
        for action in parser._actions:  # stock lower-cases the name, which would spoil a class name
            if action.dest == self.name:
                action.type = _keep_dotted(action.type)

    cls.choices, cls.get_class, cls.add_arguments = choices, get_class, add_arguments


def _keep_dotted(stock_type: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: text if ":" in text else stock_type(text)


#: What is taught to which module, right after its import.
_LESSONS: dict[str, Callable[[ModuleType], None]] = {
    "espnet2.train.class_choices": _teach_choices,
    "espnet2.text.cleaner": _teach_cleaner,
    "espnet2.text.phoneme_tokenizer": _teach_phonemes,
}


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _LESSONS[module.__name__](module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _LESSONS:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def install() -> None:
    """Leave the hook with the import system (once); teach right away what is already imported."""
    for name, teach in _LESSONS.items():
        if name in sys.modules:
            teach(sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
