"""The pixwizard command: parsing and printing, nothing else."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..console import patient_output, was_cut_off
from ..errors import PixWizardError
from ..version import __version__
from . import batch as cli_batch
from . import run as cli_run
from .bench import add_bench
from .data import add_data
from .evaluate import add_evaluate
from .get import add_get
from .help_text import sentence
from .models import DEVICE_HELP, add_lora_option, asked_loras, usable_device
from .progress import progress
from .teach import add_train_lora
from .train import add_train
from .warned import plain_warnings

EXIT_FAILED = 1  # the command worked and found something wrong
EXIT_USER_ERROR = 2  # what argparse uses as well
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line. Returns the exit status. A user's mistake prints one line on stderr.

    A missing console, a closed pipe or a full disk behind stdout does not stop the work; a full
    disk is reported at the end.
    """
    with patient_output() as out:
        status = _carried_out(argv)
        out.flush()
        if was_cut_off(out):
            print(f"pixwizard: the output could not be written: {out.lost}", file=sys.stderr)
            return status or EXIT_FAILED
        return status


def _carried_out(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        with plain_warnings():
            return arguments.command(arguments)
    except PixWizardError as error:
        print(f"pixwizard: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except OSError as error:
        print(f"pixwizard: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("pixwizard: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pixwizard",
        description="Generate, edit, restore and analyse pictures by instruction.",
    )
    parser.add_argument("--version", action="version", version=f"pixwizard {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        _add_demo, _add_run, _add_batch, add_get, _add_convert, _add_inspect, _add_verify,
        _add_doctor, add_bench, add_evaluate, add_data, add_train, add_train_lora,
    ):  # fmt: skip
        add(commands)
    return parser


def _command(commands, name: str, run: Callable[[argparse.Namespace], int], text: str):
    parser = commands.add_parser(name, help=text, description=sentence(text))
    parser.set_defaults(command=run)
    return parser


def _add_demo(commands) -> None:
    text = "run twelve tasks on a rendered room and score the results"
    cli_run.add_demo_options(_command(commands, "demo", cli_run.demo, text))


def _add_run(commands) -> None:
    text = "run a task on one or more pictures and save the results"
    cli_run.add_run_options(_command(commands, "run", cli_run.run, text))


def _add_batch(commands) -> None:
    parser = _command(commands, "batch", cli_batch.batch, cli_batch.TEXT)
    cli_batch.add_batch_options(parser)


def _add_device(parser: argparse.ArgumentParser, dtypes: Sequence[str]) -> None:
    parser.add_argument("--device", default="cpu", help=DEVICE_HELP)
    parser.add_argument(
        "--dtype", default=dtypes[0], choices=dtypes,
        help="data type to compute in (default: %(default)s)",
    )  # fmt: skip


def _add_convert(commands) -> None:
    text = "convert any supported checkpoint or text encoder to a single safetensors file"
    parser = _command(commands, "convert", _convert, text)
    parser.add_argument(
        "source", type=Path,
        help="transformer (released folder, .pth or .safetensors file), or Gemma or CLIP (folder "
        "or file)",
    )  # fmt: skip
    parser.add_argument("target", type=Path, help=".safetensors file to write")
    parser.add_argument(
        "--to", "--dtype", dest="dtype", default="bf16",
        choices=("bf16", "fp16", "fp32", "fp8", "fp8_scaled", "int8"),
        help="how to store the weights; fp8_scaled and int8 take 0.6 of bf16, ComfyUI computes "
        "with them as they are, and int8 is the more exact (docs/beyond.md) (default: %(default)s)",
    )  # fmt: skip
    add_lora_option(parser, "LoRA file to merge into the weights")


def _convert(arguments: argparse.Namespace) -> int:
    from ..encoders.convert import text_encoder_at
    from ..weights.convert import convert
    from ..weights.weightfile import size_in_words

    loras = asked_loras(arguments)
    if kind := text_encoder_at(arguments.source):
        return _convert_encoder(kind, arguments)
    with progress("converting", "tensor") as advance:
        info = convert(
            arguments.source,
            arguments.target,
            arguments.dtype,
            on_tensor=lambda done, total, _: advance(done, total),
            loras=loras,
            tell=_say,
        )
    print(f"{arguments.target}: {info.n_params:,} parameters, {size_in_words(info.n_bytes)}")
    return 0


def _convert_encoder(kind: str, arguments: argparse.Namespace) -> int:
    from ..encoders.convert import convert_text_encoder
    from ..weights.weightfile import size_in_words

    if arguments.lora:
        raise PixWizardError("--lora is for the transformer; the source is a text encoder")
    with progress("converting", "tensor") as advance:
        n_bytes = convert_text_encoder(
            kind,
            arguments.source,
            arguments.target,
            arguments.dtype,
            on_tensor=lambda done, total, _: advance(done, total),
            tell=_say,
        )
    print(f"{arguments.target}: {kind}, {size_in_words(n_bytes)}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _add_inspect(commands) -> None:
    parser = _command(commands, "inspect", _inspect, "identify a weight file or folder")
    parser.add_argument("path", type=Path, help="weight file or folder to inspect")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _inspect(arguments: argparse.Namespace) -> int:
    from ..weights.examine import inspect
    from ..weights.weightfile import size_in_words

    info = inspect(arguments.path)
    if arguments.json:
        derived = {"path": str(info.path), "preset": info.preset}
        values = {**asdict(info), "dtype": info.dtype, "stored": info.stored, **derived}
        print(json.dumps(values, indent=2))
        return 0
    print(f"{info.path}\n  model       {info.kind}{f' ({info.preset})' if info.preset else ''}")
    print(f"  stored as   {info.layout}, {info.stored}, {size_in_words(info.n_bytes)}")
    print(f"  parameters  {info.n_params:,} in {info.n_tensors} tensors")
    if info.config:
        told = ", ".join(f"{name} {value}" for name, value in info.config.to_dict().items())
        print(f"  shape       {told}")
    for note in info.notes:
        print(f"  note        {note}")
    return 0


def _add_verify(commands) -> None:
    text = "check the model's computations against a folder of reference vectors"
    parser = _command(commands, "verify", _verify, text)
    parser.add_argument("folder", type=Path, help="folder of reference vectors")
    _add_device(parser, ("float32", "float64", "bfloat16", "float16"))


def _verify(arguments: argparse.Namespace) -> int:
    import torch

    from ..verify import verify

    report = verify(
        arguments.folder,
        device=usable_device(arguments.device),
        dtype=getattr(torch, arguments.dtype),
        on_outcome=lambda outcome: print(outcome.line(), flush=True),
    )
    print(report.total())
    return 0 if report.ok else EXIT_FAILED


def _add_doctor(commands) -> None:
    text = "report versions, check that each part computes correctly, and identify model files"
    parser = _command(commands, "doctor", _doctor, text)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="folders with model files, such as ComfyUI/models",
    )
    _add_device(parser, ("float32", "bfloat16", "float16"))


def _doctor(arguments: argparse.Namespace) -> int:
    import torch

    from ..verify.doctor import is_trouble, report

    device, dtype = usable_device(arguments.device), getattr(torch, arguments.dtype)
    trouble = False
    for line in report(device, dtype, arguments.folders):
        print(line, flush=True)
        trouble |= is_trouble(line)
    return EXIT_FAILED if trouble else 0
