"""Files on the Hugging Face hub: query them, and fetch one so that an interrupted download can
resume."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import DownloadError, reason_of
from ..weights.published import HUB

SHA256 = re.compile(r"[0-9a-f]{64}")
BLOCK = 1 << 20  # bytes hashed at a time
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Offer:
    """A file in a repository. n_bytes: None when the hub does not say. etag: changes with the file;
    for a large file it is the SHA-256."""

    repository: str
    name: str
    url: str
    n_bytes: int | None
    etag: str


def library() -> ModuleType:
    """huggingface_hub. Raises DownloadError when it is not installed."""
    try:
        import huggingface_hub
    except ImportError:
        raise DownloadError(
            "fetching files needs huggingface_hub: pip install 'pixwizard[get]'"
        ) from None
    return huggingface_hub


def offer(repository: str, name: str, terms: str = "") -> Offer | None:
    """Query a file on the hub. Returns None when the repository has no such file.

    terms: what must be accepted first, for the message. Raises DownloadError.
    """
    hub = library()
    try:
        # The library reads the variable only once, on its first import.
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
        url = hub.hf_hub_url(repository, name, endpoint=endpoint)
        met = hub.get_hf_file_metadata(url, token=hub.get_token())
    except Exception as error:  # the library's and its client's exceptions differ by version
        if type(error).__name__ in ("EntryNotFoundError", "RemoteEntryNotFoundError"):
            return None
        raise refused(error, repository, name, terms) from error
    if met.etag is None:
        raise DownloadError(f"{repository}: the hub names no version of {name}; is it a hub?")
    return Offer(repository, name, url, met.size, met.etag)


def fetch(wanted: Offer, target: Path, terms: str = "") -> None:
    """Fetch a file to target. Resumes what an earlier call left unfinished.

    The unfinished file is beside target and is kept when the connection breaks, the disk is full or
    the user stops. Checks the size, and the SHA-256 if the hub states it. Raises DownloadError.
    """
    hub = library()
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    tag = hashlib.sha256(wanted.etag.encode()).hexdigest()[:12]
    part = target.with_name(f"{target.name}.{tag}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for other in target.parent.glob(f"{target.name}.*.part"):
            if other != part:  # from a version that is no longer on the hub
                other.unlink()
        if wanted.n_bytes is not None and _size(part) > wanted.n_bytes:
            part.unlink()
        headers = build_hf_headers(token=hub.get_token())
        done = -1
        while True:
            tried_from, done = done, _size(part)
            try:
                with part.open("ab") as file:
                    http_get(
                        wanted.url,
                        file,
                        resume_size=done,
                        headers=headers,
                        expected_size=wanted.n_bytes,
                        displayed_filename=wanted.name,
                    )
                    file.flush()
                    os.fsync(file.fileno())
                break
            except Exception as error:  # older versions of the library do not retry
                if not _broke_off(error) or done <= tried_from:
                    raise
        require_whole(part, wanted)
        os.replace(part, target)
    except DownloadError:
        raise
    except Exception as error:
        raise refused(error, wanted.repository, wanted.name, terms) from error


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _broke_off(error: Exception) -> bool:
    """Whether the connection broke, rather than the disk or the hub refusing."""
    answered = getattr(error, "response", None) is not None
    return not answered and not getattr(error, "errno", None)


def require_whole(path: Path, wanted: Offer) -> None:
    """Raise DownloadError unless a file has the size and the SHA-256 stated by the hub. Deletes a
    wrong file if resuming cannot repair it."""
    size = path.stat().st_size
    if wanted.n_bytes is not None and size != wanted.n_bytes:
        raise DownloadError(
            f"{wanted.name} is {size:,} bytes, the hub names {wanted.n_bytes:,}; run the command "
            "again to go on"
        )
    if SHA256.fullmatch(wanted.etag):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() != wanted.etag:
            path.unlink()
            raise DownloadError(
                f"{wanted.name} arrived damaged (its SHA-256 is not the one the hub names) and was "
                "deleted; run the command again"
            )


def refused(error: Exception, repository: str, name: str, terms: str) -> DownloadError:
    """Convert an error of the library, the network or the disk to one that says what to do."""
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if getattr(error, "errno", None) in FULL:
        return DownloadError(
            f"the disk is full while writing {name}; free some space and run the command again. "
            "What has arrived is kept"
        )
    if kind == "GatedRepoError" or (terms and status in (401, 403)):
        return DownloadError(licence(repository, terms))
    if status in (401, 403):
        return DownloadError(
            f"the hub refuses {repository} ({status}): {token_state()}. If the repository is "
            f"private or gated, ask for access at {HUB}/{repository}, then run 'hf auth login'"
        )
    if kind == "RepositoryNotFoundError":
        return DownloadError(
            f"there is no repository {repository} on the hub, or it is private; give another one "
            f"with --repo PART=OWNER/NAME. {token_state().capitalize()}"
        )
    if kind == "OfflineModeIsEnabled":
        return DownloadError("HF_HUB_OFFLINE is set, so nothing can be fetched; unset it")
    if isinstance(error, OSError) and error.errno and status is None:
        return DownloadError(f"cannot write {name}: {error.strerror or error}")
    return DownloadError(
        f"{name} of {repository} could not be fetched ({kind}: {reason_of(error, 200)}); what has "
        "arrived is kept, run the command again to go on"
    )


def licence(repository: str, terms: str) -> str:
    """How to get access to a repository whose terms must be accepted."""
    page = f"{HUB}/{repository}"
    return (
        f"{repository} can be fetched only after its terms are accepted"
        f"{f' ({terms})' if terms else ''}. 1: open {page}, sign in, read the terms and accept "
        f"them. 2: make a token with read access at {HUB}/settings/tokens. 3: run 'hf auth login', "
        f"or set HF_TOKEN to the token, and run this command again. Now: {token_state()}"
    )


def token_state() -> str:
    """Whether requests carry a token, in words; never the token."""
    return "a token was sent" if library().get_token() else "no token was sent"
