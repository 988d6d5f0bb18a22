"""The extension over a fake host, as tests/nodes has it."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from tests.fakes import host


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def extension(models):
    """A function from module name to module of the extension, loaded over a fake host."""
    host.unload()  # tests/nodes, in the same run, had it over folders of its own
    yield host.load_extension(models)
    host.unload()


@pytest.fixture(scope="session")
def nodes(extension):
    """All node classes by their id, without the prefix."""
    listed = extension("nodes").NODES
    return {node.define_schema().node_id.removeprefix("PixWizard_"): node for node in listed}


@pytest.fixture(scope="session")
def output(extension, tmp_path_factory):
    """The host's output folder."""
    folder = tmp_path_factory.mktemp("output")
    folders = sys.modules["folder_paths"]
    folders.get_save_image_path = save_image_path
    folders.get_output_directory = folders.get_temp_directory = lambda: str(folder)
    settings = SimpleNamespace(disable_metadata=True)
    sys.modules["comfy.cli_args"] = host.module("comfy.cli_args", args=settings)
    yield folder
    del sys.modules["comfy.cli_args"]


def save_image_path(prefix, folder, width=0, height=0):
    """The host's way to give out names."""
    prefix = prefix.replace("%width%", str(width))
    subfolder, name = os.path.split(os.path.normpath(prefix))
    place = os.path.join(folder, subfolder)
    if os.path.commonpath((folder, os.path.abspath(place))) != folder:
        raise Exception(f"saving image outside the output folder is not allowed: {place}")
    os.makedirs(place, exist_ok=True)
    taken = [1 for entry in os.listdir(place) if entry.startswith(f"{name}_")]
    return place, name, len(taken) + 1, subfolder, prefix
