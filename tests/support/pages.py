"""Which pages of which hosts are looked at, and scripts of tests/browser run on them.

A page is a version of ComfyUI's frontend. Each host brings one; further ones are served by the
newest host.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import PAGE, Host, find_hosts, missing_reason, number, serve

PACKAGE = "comfyui_frontend_package"


@dataclass(frozen=True)
class Page:
    """A host and the page that it serves. folder: a page that is not the host's own."""

    host: Host
    folder: Path | None = None

    @property
    def version(self) -> str:
        return self.folder.name if self.folder else own_version(self.host)

    def __str__(self) -> str:
        return f"{self.host.version}-page-{self.version}"


def own_version(host: Host) -> str:
    """Version of the page that a host brings, "unknown" when its environment does not say."""
    root, name = host.python.parent.parent, f"site-packages/{PACKAGE}-*.dist-info"
    found = [*root.glob(f"lib/python*/{name}"), *root.glob(f"Lib/{name}")]
    return found[-1].name.removesuffix(".dist-info").split("-")[1] if found else "unknown"


def find_frontends() -> list[Path]:
    """Further versions of the page, the oldest first: COMFYUI_FRONTENDS, else the folders in
    ~/comfy/frontends, each named by its version. Each is the static folder of a
    comfyui-frontend-package."""
    named = os.environ.get("COMFYUI_FRONTENDS")
    usual = (Path.home() / "comfy" / "frontends").glob("*")
    folders = map(Path, named.split(os.pathsep)) if named else usual
    found = [folder for folder in folders if (folder / "index.html").is_file()]
    return sorted(found, key=lambda folder: number(folder.name))


def every_page() -> list[Page]:
    """Every host with its own page, then the newest host with each page that is not its own."""
    hosts = find_hosts()
    if not hosts:
        return []
    further = [Page(hosts[-1], folder) for folder in find_frontends()]
    own = own_version(hosts[-1])
    return [*map(Page, hosts), *(page for page in further if page.version != own)]


def default_page() -> list[Page]:
    """The newest host with its own page: what most people have who install today."""
    return [Page(host) for host in find_hosts()[-1:]]


def printed(page: Page, script: str, **given: str) -> str:
    """What a script of tests/browser prints, with a server of this page at PIXWIZARD_URL. given:
    further environment variables."""
    with (
        tempfile.TemporaryDirectory() as base,
        serve(page.host, Path(base), page.folder) as server,
    ):
        return subprocess.run(
            ["node", script], cwd=PAGE, check=True, text=True, stdout=subprocess.PIPE,
            env={**os.environ, "PIXWIZARD_URL": server.url(""), **given},
        ).stdout  # fmt: skip


def on_newest_page(script: str, **given: str) -> str:
    """printed() on the newest host with the newest page there is. Ends the program without a
    host."""
    pages = every_page()
    if not pages:
        raise SystemExit(missing_reason())
    newest = max(pages, key=lambda page: (number(page.host.version), number(page.version)))
    return printed(newest, script, **given)
