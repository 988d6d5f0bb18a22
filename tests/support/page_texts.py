"""What the page says of the nodes, from their schemas: the Inputs part of the help pages, and the
English names.

`python -m tests.support.page_texts` writes both; a test says when that is due.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from tests.fakes import host

DOCS = host.REPO / "web" / "docs"
LOCALES = host.REPO / "locales"
INPUTS = re.compile(r"(?<=^## Inputs\n).*?(?=^## )", re.MULTILINE | re.DOTALL)
SHORT_LIST = 8  # choices that fit into a line
SEED_LIMIT = 2**64 - 1


def help_inputs(schema) -> str:
    """The Inputs part of a help page, as Markdown."""
    lines = [f"- `{one.id}` ({_allowed(one)}): {one.tooltip}" for one in schema.inputs]
    return "\n" + ("\n".join(lines) or "None.") + "\n\n"


def _allowed(socket) -> str:
    settings, parts = socket.settings, []
    if socket.io_type in ("INT", "FLOAT"):
        high = "2⁶⁴ − 1" if settings["max"] == SEED_LIMIT else f"{settings['max']:g}"
        if isinstance(settings["max"], int) and settings["max"] != SEED_LIMIT:
            high = str(settings["max"])
        parts += [f"{settings['min']:g} to {high}"]
        parts += [f"steps of {settings['step']:g}"] if "step" in settings else []
    elif socket.io_type == "COMBO":
        options = settings["options"]
        fits = 1 < len(options) <= SHORT_LIST  # one entry: files follow
        parts += [", ".join(map(str, options)) if fits else "a list"]
    elif socket.io_type == "BOOLEAN":
        parts += ["on or off"]
    elif socket.io_type == "STRING":
        parts += ["text"]
    else:
        parts += [socket.io_type]
    if settings.get("default") not in (None, ""):
        default = settings["default"]
        shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else default
        parts += [f"default {shown:g}" if isinstance(shown, float) else f"default {shown}"]
    parts += ["optional"] if socket.optional else []
    told = (getattr(socket, "extra_dict", None) or {}).get("pixwizard", {})
    for other, values in told.get("used_when", {}).items():
        named = (({True: "on", False: "off"}[v] if isinstance(v, bool) else v) for v in values)
        parts += [f"shown with {other} {' or '.join(named)}"]
    return "; ".join(parts)


def english(schema) -> dict:
    """One entry of nodeDefs.json, as the page looks it up."""
    found: dict = {
        "display_name": escaped(schema.display_name),
        "description": escaped(schema.description),
        "inputs": {
            one.id: {"name": escaped(one.display_name), "tooltip": escaped(one.tooltip)}
            for one in schema.inputs
        },
        "outputs": {str(i): _output(one) for i, one in enumerate(schema.outputs)},
    }
    return found


def _output(socket) -> dict[str, str]:
    named = {"name": escaped(socket.display_name)}
    return {**named, "tooltip": escaped(socket.tooltip)} if socket.tooltip else named


def escaped(text: str) -> str:
    """Text in which the page's translation syntax has no meaning."""
    return re.sub(r"[{}@|$]", lambda found: f"{{'{found[0]}'}}", text)


def write(schemas) -> None:
    """Bring every help page and locales/en up to date. Pages must exist; their prose is kept."""
    for schema in schemas:
        path = DOCS / f"{schema.node_id}.md"
        text = path.read_text(encoding="utf-8")
        part = help_inputs(schema)
        path.write_text(INPUTS.sub(lambda _, part=part: part, text), encoding="utf-8")
    entries = {schema.node_id: english(schema) for schema in schemas}
    text = json.dumps(entries, ensure_ascii=False, indent=1)
    (LOCALES / "en").mkdir(parents=True, exist_ok=True)
    (LOCALES / "en" / "nodeDefs.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as models:
        extension = host.load_extension(Path(models))
        write([node.define_schema() for node in extension("nodes").NODES])


if __name__ == "__main__":
    main()
