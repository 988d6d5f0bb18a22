"""Where the nodes of a test write."""

from __future__ import annotations

import pytest

from tests.fakes import host


@pytest.fixture(scope="module")
def output(extension, tmp_path_factory):
    """The host's output folder, which is its temp folder as well."""
    folder = tmp_path_factory.mktemp("output")
    with pytest.MonkeyPatch.context() as patch:
        host.write_to(folder, patch, disable_metadata=True)
        patch.setattr(host.fake("folder_paths"), "get_temp_directory", lambda: str(folder))
        yield folder
