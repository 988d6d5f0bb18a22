"""docs/wordings.md, from the task table, the trained forms and the header of the bundled model.

`python -m tests.support.wording_table` writes it; a test says when that is due.
"""

from __future__ import annotations

from pixwizard_core.bundle import MODEL_FILE
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.task_table.forms import form_rows
from pixwizard_core.tasks import TASKS, Task
from pixwizard_core.taught import Taught, released, taught_by
from pixwizard_core.weights.checkpoint import open_checkpoint
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "wordings.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
HEAD = (
    "| task | what it does | fields | as trained | source | released model | bundled model |\n"
    "|---|---|---|---|---|---|---|\n"
)


def bundled() -> Taught:
    opened = open_checkpoint(BUNDLE / MODEL_FILE)
    return taught_by(opened.metadata, opened.config, MODEL_FILE)


def how(task: Task, taught: Taught) -> str:
    """How a model is asked: in a trained form, in its own words, or not taught."""
    if not taught.knows(task.id):
        return "not taught"
    return "as trained" if taught.form(task.id) else "own sentence"


def table() -> str:
    """The table as Markdown."""
    sources = {row.task: row.source for row in reversed(form_rows())}
    models = (released(), bundled())
    lines = []
    for task in TASKS.values():
        forms = "<br>".join(f"`{form}`" for form in task.forms) or f"own: `{task.phrasings[0]}`"
        fields = ", ".join(task.fields)
        known = " | ".join(how(task, taught) for taught in models)
        source = sources[task.id]
        lines.append(f"| `{task.id}` | {task.title} | {fields} | {forms} | {source} | {known} |\n")
    return HEAD + "".join(lines)


def with_table(text: str) -> str:
    """The page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
