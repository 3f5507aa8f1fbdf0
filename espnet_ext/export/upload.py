"""Sharing a packed model on a model hub, in the layout that stock `from_pretrained` reads."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from espnet_ext.errors import UserError
from espnet_ext.export.archive import extract


def listing(directory: Path) -> list[tuple[str, int]]:
    """(name, bytes) of the files below a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return [(path.relative_to(directory).as_posix(), path.stat().st_size) for path in files]


def upload(archive: str | Path, repository: str, private: bool = False) -> list[tuple[str, int]]:
    """Upload the contents of a packed model; without a token only look at what would be sent.

    The token is taken from HF_TOKEN in the environment and never stored.

    Args:
        archive: zip made by `pack`.
        repository: "user/name".
        private: make the repository private if it is new.

    Returns:
        (name, bytes) of every file.

    Raises:
        UserError: if the archive is broken, the name is no repository, or the hub refuses.
    """
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise UserError(f"found repository {repository!r}, expected USER/NAME")
    with tempfile.TemporaryDirectory() as folder:
        extract(archive, folder)
        files = listing(Path(folder))
        if has_token():
            _send(folder, repository, private)
    return files


def has_token() -> bool:
    """Whether HF_TOKEN is set."""
    return bool(os.environ.get("HF_TOKEN"))


def _send(folder: str, repository: str, private: bool) -> None:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UserError("uploading needs `pip install huggingface_hub`") from error
    api = HfApi(token=os.environ["HF_TOKEN"])
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload the model")
    except (OSError, ValueError) as error:  # hub and connection errors are OSErrors
        raise UserError(f"the hub refused {repository}: {error}") from error
