"""Weights to start from: of a file, an experiment's folder or a packed model, by rule; and what stays as it is.

An entry of `init_param:` in a YAML is a text, "file.pth" or "file.pth:prefix" (only names that begin with it), ESPnet's
"file.pth:source:target:excluded,excluded", or a mapping with `from` and any of

- `map`: {source prefix: target prefix}; without it names stay as they are,
- `exclude`: names (of this model) that begin so, or fit such a pattern, are left as they are,
- `tokens`: the token list (tokens.txt) that the weights belong to, where no config.yaml beside them says it.

Where both token lists are known, rows of embeddings and output layers go to the same token's row; a token that is new
keeps what it was initialised with.
"""

from __future__ import annotations

import logging
import tempfile
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from espnet_ext.bridge.weights import read_weights
from espnet_ext.errors import UserError
from espnet_ext.text.tokens import read_token_list
from espnet_ext.train.config import check_keys, load_yaml, parse_yaml

State = dict[str, torch.Tensor]
_KEYS = {"from": None, "map": None, "exclude": None, "tokens": None}


@dataclass(frozen=True)
class Rule:
    """What of which weights goes where.

    Attributes:
        source: .pth file, folder of an experiment, or packed zip.
        names: source prefix -> target prefix.
        exclude: prefixes or patterns of this model's names.
        tokens: token list of the source, if the YAML names it.
    """

    source: Path
    names: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    exclude: Sequence[str] = ()
    tokens: Path | None = None

    def target(self, name: str) -> str | None:
        """The name in this model; None if the rule leaves it out."""
        for old, new in self.names.items():
            if name.startswith(old):
                found = new + name[len(old) :]
                return None if matches(found, self.exclude) else found
        return None


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a name of a parameter is one of these, lies below one, or fits a pattern with * and ?.

    >>> matches("encoder.layers.0.weight", ["encoder"]), matches("encoder2.weight", ["encoder"])
    (True, False)
    >>> matches("decoder.norm.bias", ["*.bias"])
    True
    """
    return any(
        name == p or name.startswith(p.rstrip(".") + ".") or fnmatchcase(name, p) for p in patterns
    )


def parse_rule(entry: Any) -> Rule:
    """An entry of `init_param`.

    Raises:
        UserError: if it is no such thing.
    """
    if isinstance(entry, str):
        path, *rest = entry.split(":")
        if not rest:
            return Rule(Path(path))
        source, target, exclude = [*rest, "", "", ""][:3]
        target = target if len(rest) > 1 else source
        return Rule(Path(path), {source: target}, [e for e in exclude.split(",") if e])
    if not isinstance(entry, Mapping) or "from" not in entry:
        raise UserError(
            f"init_param: found {entry!r}, expected a file's name or {{from: ..., ...}}"
        )
    check_keys(entry, _KEYS, "init_param")
    tokens = entry.get("tokens")
    return Rule(
        Path(entry["from"]),
        entry.get("map") or {"": ""},
        entry.get("exclude") or (),
        Path(tokens) if tokens else None,
    )


def source_files(entries: Sequence[Any]) -> list[Path]:
    """The files behind entries of `init_param`, for whoever has to know whether they change."""
    found = []
    for rule in map(parse_rule, entries):
        found.append(_weights_in(rule.source) if rule.source.is_dir() else rule.source)
    return found


def _weights_in(folder: Path) -> Path:
    """The final weights of an experiment: the average by its first criterion, or the only file."""
    candidates = sorted(folder.glob("*.ave.pth")) or sorted(folder.glob("*.pth"))
    config = load_yaml(folder / "config.yaml") if (folder / "config.yaml").is_file() else {}
    for split, name, _ in config.get("best_model_criterion") or []:
        wanted = folder / f"{split}.{name}.ave.pth"
        if wanted in candidates:
            return wanted
    if len(candidates) != 1:
        names = ", ".join(path.name for path in candidates) or "none"
        raise UserError(
            f"init_param: found weights {names} in {folder}, expected one: name the file"
        )
    return candidates[0]


def _read(rule: Rule) -> tuple[State, list[str] | None]:
    """The weights of a rule's source and their token list, None where it is not known."""
    if zipfile.is_zipfile(rule.source) and rule.source.suffix == ".zip":
        state, config = _from_zip(rule.source)
    else:
        path = _weights_in(rule.source) if rule.source.is_dir() else rule.source
        state = read_weights(path)
        beside = path.parent / "config.yaml"
        config = load_yaml(beside) if beside.is_file() else {}
    if rule.tokens is not None:
        return state, read_token_list(str(rule.tokens))
    tokens = config.get("token_list")
    return state, list(tokens) if isinstance(tokens, list) else None


def _from_zip(path: Path) -> tuple[State, dict[str, Any]]:
    """Weights and configuration of a packed model."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        meta = parse_yaml(archive.read("meta.yaml").decode(), f"{path}/meta.yaml")
        files = [n for k, n in meta.get("files", {}).items() if not k.startswith(("lm", "ngram"))]
        yamls = [n for k, n in meta.get("yaml_files", {}).items() if not k.startswith("lm")]
        weights = [name for name in files if name.endswith(".pth")]
        if len(weights) != 1 or not yamls:
            raise UserError(
                f"init_param: found weights {', '.join(weights) or 'none'} in {path}, expected one, as pack makes it"
            )
        state = read_weights(archive.extract(weights[0], folder))
        config = parse_yaml(archive.read(yamls[0]).decode(), f"{path}/{yamls[0]}")
    return state, config


def load_initial(
    model: torch.nn.Module, entries: Sequence[Any], tokens: Sequence[str] = ()
) -> None:
    """Start from other weights, entry by entry.

    Args:
        model: receives the weights.
        entries: of `init_param`.
        tokens: the model's token list.

    Raises:
        UserError: if an entry fits nothing.
    """
    own, by_token = model.state_dict(), _of_tokens(model)
    for entry in entries:
        rule = parse_rule(entry)
        state, theirs = _read(rule)
        taken = _taken(own, state, rule, tokens, theirs or [], by_token)
        if not taken.chosen:
            raise UserError(
                f"init_param {entry}: no name and shape of {rule.source} fits the model; check the prefix"
            )
        known = f", {taken.by_token} of them by token" if taken.by_token else ""
        print(f"init_param {entry}: {len(taken.chosen)} of {len(own)} tensors taken over{known}")
        if taken.other:
            logging.warning(
                "init_param %s: found another shape of %s, left as they are. Another vocabulary? Its token list is "
                "looked for in config.yaml beside the weights, or named by `tokens:`",
                entry,
                ", ".join(taken.other[:5]),
            )
        own.update(taken.chosen)
    model.load_state_dict(own)


@dataclass
class _Taken:
    """Tensors that a rule takes over, how many of them row by row, and those whose shape does not fit."""

    chosen: State = field(default_factory=dict)
    by_token: int = 0
    other: list[str] = field(default_factory=list)


def _of_tokens(model: torch.nn.Module) -> set[str]:
    """Names of weights that may have a row for each token: of embeddings, and of linear layers that are in no stack."""
    kinds = (torch.nn.Embedding, torch.nn.Linear)
    return {
        f"{name}.{weight}" if name else weight
        for name, module in model.named_modules()
        if isinstance(module, kinds)
        and (isinstance(module, kinds[0]) or not any(p.isdigit() for p in name.split(".")))
        for weight, _ in module.named_parameters(recurse=False)
    }


def _taken(
    own: State,
    state: State,
    rule: Rule,
    tokens: Sequence[str],
    theirs: Sequence[str],
    by_token: Collection[str],
) -> _Taken:
    found = _Taken()
    for old, tensor in state.items():
        name = rule.target(old)
        if name is None or name not in own:
            continue
        same = own[name].shape == tensor.shape  # then a width may be as large as both vocabularies
        if (not same or name in by_token) and _is_vocabulary(own[name], tensor, tokens, theirs):
            found.chosen[name] = rows(own[name], tensor, tokens, theirs)
            found.by_token += 1
        elif same:
            found.chosen[name] = tensor
        else:
            shapes = f"{tuple(tensor.shape)} for {tuple(own[name].shape)}"
            found.other.append(f"{name} ({shapes})")
    return found


def _is_vocabulary(
    own: torch.Tensor, tensor: torch.Tensor, tokens: Sequence[str], theirs: Sequence[str]
) -> bool:
    """Whether both have a row for each token, and the token lists differ."""
    if not (theirs and own.dim() and tensor.dim()):
        return False
    sizes = len(own) == len(tokens) and len(tensor) == len(theirs)
    return bool(sizes and own.shape[1:] == tensor.shape[1:] and list(tokens) != list(theirs))


def rows(
    own: torch.Tensor, tensor: torch.Tensor, tokens: Sequence[str], theirs: Sequence[str]
) -> torch.Tensor:
    """`own` with the rows of tokens that both lists have from `tensor`; (V, ...) and (V', ...) -> (V, ...)."""
    place = {token: index for index, token in enumerate(theirs)}
    here = [index for index, token in enumerate(tokens) if token in place]
    found = own.clone()
    found[here] = tensor[[place[tokens[index]] for index in here]].to(own.dtype)
    return found


def check_patterns(
    patterns: Collection[str], names: Collection[str], where: str, what: str = "parameter"
) -> None:
    """Each pattern fits a name.

    Raises:
        UserError: for the first that does not.
    """
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in names):
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise UserError(
                f"{where}: found {pattern!r}, which names no {what}; they begin with {parts}"
            )


def freeze(model: torch.nn.Module, patterns: Sequence[str]) -> int:
    """Have parameters with these names stay as they are; how many that are.

    Raises:
        UserError: if a pattern names none, or nothing is left to train.
    """
    check_patterns(patterns, [name for name, _ in model.named_parameters()], "freeze")
    frozen = [p for name, p in model.named_parameters() if matches(name, patterns)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError(f"freeze: found {', '.join(patterns)}, which leaves nothing to train")
    return len(frozen)
