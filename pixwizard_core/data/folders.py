"""Find pairs in folders by the naming conventions of common trainers.

Pairs are files of the same name in two folders (input/ and target/, other usual names, or folders
given by the caller), or x_input.png next to x_target.png in one folder. A .txt file with the
target's name holds its captions, one per line. Files without a partner are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PixWizardError
from ..files.kinds import is_picture
from ..files.left_out import LeftOut
from ..files.walk import walk
from ..json_text import read_text
from ..tasks import find_task, instruction
from .pairs import InstructionPair

SUFFIXES = ("_input", "_target")
# Names of the two folders, in the order in which they are looked for.
INPUTS = (
    "input", "inputs", "source", "sources", "before", "control", "conditioning", "condition", "lq",
    "A",
)  # fmt: skip
TARGETS = (
    "target", "targets", "output", "outputs", "after", "edited", "image", "images", "gt", "hq", "B",
)  # fmt: skip
MASKS = ("mask", "masks")
CAPTION = ".txt"
NO_TARGET, NO_INPUT = "an input without a target", "a target without an input"
NO_CAPTION = "a caption without a target"
NO_WORDS = "a pair without words"
TWO_OF_A_NAME = "another picture has the same name without its ending"
NO_PICTURE = "not a picture"


@dataclass(frozen=True, slots=True)
class FolderPairs:
    """The pairs of a folder in natural order of their names. left_out: every other file, with a
    reason."""

    pairs: list[InstructionPair]
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass(frozen=True, slots=True)
class Wording:
    """Where the instructions for a folder's pairs come from.

    instruction: one instruction for all pairs. task: a task of the table, with captions from .txt
    files. With neither, the .txt files hold the instructions. Raises PixWizardError when both are
    given, and for an unknown task.
    """

    instruction: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        if self.instruction and self.task:
            raise PixWizardError("give an instruction or a task, not both")
        if self.task:
            find_task(self.task)

    def sentences(self, captions: Sequence[str], where: str) -> tuple[str, ...]:
        """Return the instructions for a pair with these captions; empty when there are none.
        where: begins the message. Raises PixWizardError for a task that needs more than a
        caption."""
        if self.instruction:
            return (self.instruction,)
        if not self.task:
            return tuple(captions)
        task = find_task(self.task)
        needed = [name for name in task.fields if name not in task.optional]
        if "caption" in needed and not captions:
            return ()
        if set(needed) - {"caption"}:
            raise PixWizardError(
                f"{where}: task {self.task!r} also needs {', '.join(set(needed) - {'caption'})}, "
                "which a caption file does not say; list the pairs with sentences of their own"
            )
        # A task without words is asked the same way whatever the picture shows.
        used = captions if "caption" in task.fields and captions else [""]
        return tuple(dict.fromkeys(instruction(self.task, caption=one) for one in used))


def pairs_in(
    root: str | Path,
    *,
    inputs: str | Path | None = None,
    targets: str | Path | None = None,
    wording: Wording | None = None,
) -> FolderPairs:
    """Find the pairs in a folder.

    inputs, targets: folders of inputs and targets, relative to root or absolute; give both or
    neither. wording: where the instructions come from; by default, the .txt files. Raises
    PixWizardError when a folder is missing, only one of inputs and targets is given, or there is no
    complete pair.
    """
    root = Path(root)
    if not root.is_dir():
        raise PixWizardError(f"there is no folder {root.absolute()}")
    if (inputs is None) != (targets is None):
        raise PixWizardError("name the folders of both inputs and targets, or neither")
    wording = wording or Wording()
    found = FolderPairs([])
    if inputs is not None and targets is not None:
        _in_two_folders(root / inputs, root / targets, _first(root, MASKS), wording, found)
    elif (before := _first(root, INPUTS)) and (after := _first(root, TARGETS)):
        _in_two_folders(before, after, _first(root, MASKS), wording, found)
    else:
        _by_suffix(root, wording, found)
    if not found.pairs:
        raise PixWizardError(
            f"there is no whole pair in {root}: put pictures of equal names into input/ and "
            f"target/, or name them x{SUFFIXES[0]}.png and x{SUFFIXES[1]}.png; sentences go into "
            f"x.txt beside the target, unless you give one. {' '.join(found.left_out.lines())}"
        )
    return found


def captions_of(path: Path) -> list[str]:
    """Read the captions in the .txt file next to a picture, one per line. Empty without that file.
    Raises PixWizardError when it cannot be read."""
    beside = path.with_suffix(CAPTION)
    if not beside.is_file():
        return []
    lines = read_text(beside, PixWizardError).splitlines()
    return [line.strip() for line in lines if line.strip()]


def by_stem(files: Iterable[Path], folder: Path, left_out: LeftOut) -> dict[str, Path]:
    """Index pictures by their path relative to folder, without the file ending. Of several files
    with the same name the first is used, and the others are added to left_out."""
    found: dict[str, Path] = {}
    for path in files:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            left_out.tell(path, TWO_OF_A_NAME)
        found.setdefault(stem, path)
    return found


def pictures_below(folder: Path, left_out: LeftOut, known: Iterable[str] = ()) -> list[Path]:
    """List the pictures in a folder and its subfolders. Other files are added to left_out, except
    those with an ending in known, such as ".txt"."""
    files = walk(folder, left_out.tell)
    for path in files:
        if not is_picture(path) and path.suffix.lower() not in known:
            left_out.tell(path, NO_PICTURE)
    return [path for path in files if is_picture(path)]


def _first(root: Path, names: Sequence[str]) -> Path | None:
    """Return the subfolder of root with the first of these names that exists, ignoring case except
    in names of one letter."""
    below = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    lower = {name.lower(): path for name, path in below.items() if len(name) > 1}
    return next((p for name in names if (p := below.get(name) or lower.get(name))), None)


def _in_two_folders(
    before: Path, after: Path, masks: Path | None, wording: Wording, found: FolderPairs
) -> None:
    for folder in (before, after):
        if not folder.is_dir():
            raise PixWizardError(f"there is no folder {folder.absolute()}")
    left = found.left_out
    starts = by_stem(pictures_below(before, left, (CAPTION,)), before, left)
    ends = by_stem(pictures_below(after, left, (CAPTION,)), after, left)
    shapes = by_stem(pictures_below(masks, left), masks, left) if masks else {}
    for stem, path in starts.items():
        if stem not in ends:
            left.tell(path, NO_TARGET)
    for stem, path in ends.items():
        if stem in starts:
            captioned = captions_of(path) or captions_of(starts[stem])
            _add(starts[stem], path, captioned, wording, found, shapes.pop(stem, None))
        else:
            left.tell(path, NO_INPUT)
    for path in shapes.values():
        left.tell(path, "a mask without a pair")
    for folder in (before, after):
        _tell_captions(folder, ends.keys() & starts.keys(), left)


def _by_suffix(root: Path, wording: Wording, found: FolderPairs) -> None:
    first, last = SUFFIXES
    left = found.left_out
    files = by_stem(pictures_below(root, left, (CAPTION,)), root, left)
    whole: set[str] = set()
    for stem, path in files.items():
        if stem.endswith(first):
            bare = stem.removesuffix(first)
            if (target := files.get(bare + last)) is None:
                left.tell(path, NO_TARGET)
                continue
            whole |= {bare, bare + first, bare + last}
            plain = path.with_name(path.stem.removesuffix(first))
            captioned = captions_of(target) or captions_of(plain) or captions_of(path)
            _add(path, target, captioned, wording, found)
        elif not stem.endswith(last):
            left.tell(path, f"named neither x{first} nor x{last}")
        elif stem.removesuffix(last) + first not in files:
            left.tell(path, NO_INPUT)
    _tell_captions(root, whole, left)


def _add(
    before: Path,
    after: Path,
    captions: Sequence[str],
    wording: Wording,
    found: FolderPairs,
    mask: Path | None = None,
) -> None:
    sentences = wording.sentences(captions, str(after))
    if not sentences:
        found.left_out.tell(after, NO_WORDS)
        return
    where = str(after)
    pair = InstructionPair(before, after, sentences, wording.task, mask, where=where)
    found.pairs.append(pair)


def _tell_captions(folder: Path, known: Iterable[str], left_out: LeftOut) -> None:
    stems = set(known)
    for path in walk(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() == CAPTION and stem not in stems:
            left_out.tell(path, NO_CAPTION)
