"""A small stand-in for the hub on loopback, with its faults, and small files in the published
layouts."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from safetensors.torch import save

from pixwizard_core.encoders.load import HEADER_KEYS
from pixwizard_core.encoders.tiny import BUNDLE, build_tiny_encoders, tiny_config, weights_of
from pixwizard_core.encoders.vae import SD_VAE_MARKS
from pixwizard_core.weights.published import CLIP, GEMMA, MODEL, VAE
from tests.support.tiny import tiny_config as tiny_transformer
from tests.support.tiny import tiny_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the stand-in serves, how it fails, and what it was asked.

    files: bytes by "owner/name/file". gated: repositories that want one of tokens. cut: how many
    bytes each of the next GET requests sends before the connection breaks. short: files of which
    too little is sent, with a Content-Length that agrees. log: (method, name, range, status, token)
    of each request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    cut: list[int] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)
    hold: threading.Event | None = None
    log: list[tuple] = field(default_factory=list)
    address: str = ""

    def gets(self, name: str) -> list[str | None]:
        """The ranges asked for in GET requests of a file, None for all of it."""
        return [span for method, path, span, *_ in self.log if method == "GET" and path == name]


@contextmanager
def serving(hub: Hub):
    """Serve on a free port of loopback while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Answer,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Answer(BaseHTTPRequestHandler):
    """One request: /OWNER/NAME/resolve/REVISION/FILE."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        owner, name, *rest = self.path.strip("/").split("/")
        if rest[:1] != ["resolve"]:  # the library asks for more than files
            self._fail(self.path, 404, None, "not served here")
            return
        rest = rest[2:]
        repository, file = f"{owner}/{name}", "/".join(rest)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        content = self.hub.files.get(f"{repository}/{file}")
        if token and token not in self.hub.tokens:
            self._fail(file, 401, None, "Invalid credentials in Authorization header")
        elif repository in self.hub.gated and not token:
            self._fail(file, 401, "GatedRepo", f"Access to model {repository} is restricted")
        elif repository in self.hub.gated and "accepted" not in token:
            self._fail(file, 403, "GatedRepo", f"Access to model {repository} is restricted")
        elif not any(known.startswith(f"{repository}/") for known in self.hub.files):
            self._fail(file, 401, "RepoNotFound", "Repository not found")
        elif content is None:
            self._fail(file, 404, "EntryNotFound", "Entry not found")
        else:
            self._send(file, content, body)

    def _send(self, file: str, content: bytes, body: bool) -> None:
        span, first = self.headers.get("Range"), 0
        if body and span:
            first = int(span.removeprefix("bytes=").split("-")[0])
        sent = content[first : self.hub.short.get(file) if body else None]
        self._note(file, 206 if first else 200)
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("Accept-Ranges", "bytes")
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if not body:
            return
        if self.hub.cut:
            self.wfile.write(sent[: self.hub.cut.pop(0)])
            self.wfile.flush()
            if self.hub.hold is not None:
                self.hub.hold.wait(30)
            self.close_connection = True
        else:
            self.wfile.write(sent)

    def _fail(self, file: str, status: int, code: str | None, message: str) -> None:
        self._note(file, status)
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _note(self, file: str, status: int) -> None:
        sent = "token" if self.headers.get("Authorization") else "no token"
        self.hub.log.append((self.command, file, self.headers.get("Range"), status, sent))

    def log_message(self, *_) -> None:
        """Nothing on the console."""


def published_files(folder: Path) -> dict[str, bytes]:
    """Small files in the published layouts under the published names: a pickled transformer of two
    layers, Gemma in two shards with an index, CLIP with both halves, and the marks of the SDXL
    VAE. Encoders carry their sizes in the header. folder: for what must be written first."""
    text, vision = build_tiny_encoders()
    sizes = {
        "cap_feat_dim": text.width,
        "cap_clip_feat_dim": text.pooled_width,
        "image_feat_dim": vision.width,
    }
    torch.save(tiny_model(**sizes).state_dict(), folder / "model.pth")
    config = {"pixwizard.note": str(tiny_transformer(**sizes).dim)}
    gemma = {f"model.{name}": value.clone() for name, value in weights_of(text.gemma).items()}
    names = sorted(gemma)
    shards = (names[: len(names) // 2], names[len(names) // 2 :])
    header = {HEADER_KEYS["gemma"]: json.dumps(tiny_config("gemma", text.gemma)), **config}
    files = {}
    for file, own in zip(GEMMA.files, shards, strict=False):
        files[file] = save({name: gemma[name].contiguous() for name in own}, header)
    index = {name: file for file, own in zip(GEMMA.files, shards, strict=False) for name in own}
    files[GEMMA.files[2]] = json.dumps({"weight_map": index}).encode()
    words = (BUNDLE / "tokenizer.json").read_bytes()
    halves = {"clip_text": text.clip, "clip_vision": vision.model}
    clip = {
        name: value.clone().contiguous()
        for model in halves.values()
        for name, value in weights_of(model).items()
    }
    header = {HEADER_KEYS[k]: json.dumps(tiny_config(k, model)) for k, model in halves.items()}
    vae = {name: torch.zeros(shape) for name, shape in SD_VAE_MARKS.items()}
    named = {
        MODEL.repository: {MODEL.files[0]: (folder / "model.pth").read_bytes()},
        GEMMA.repository: {**files, "tokenizer.json": words, "config.json": b"{}"},
        CLIP.repository: {
            CLIP.files[0]: save(clip, header), "tokenizer.json": words, "config.json": b"{}",
        },
        VAE.repository: {VAE.files[0]: save(vae)},
    }  # fmt: skip
    return {
        f"{repository}/{name}": content
        for repository, inside in named.items()
        for name, content in inside.items()
    }
