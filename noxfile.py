"""The core on other versions of what it stands on: `nox` runs all, `nox -s oldest` one.

Each session makes an environment of its own and runs the part of the tests that depends on the
libraries. PyTorch comes from PyPI, some gigabytes for each version; PIP_EXTRA_INDEX_URL may name a
smaller build.
"""

import nox

nox.options.default_venv_backend = "uv|virtualenv"
TESTS = [
    *(f"tests/core/test_{name}.py" for name in (
        "checkpoint", "convert", "lora", "text_encoder", "tokenizer", "vision_encoder",
        "vae_coders", "transformer", "sampling", "canvas", "decode_depth", "decode_masks", "verify",
    )),
    *(f"tests/fire/test_{name}.py" for name in (
        "hostile_files", "hostile_graphs", "hostile_lists", "hostile_names", "faults_writing",
    )),
]  # fmt: skip
COMMON = ["safetensors", "einops", "pillow", "scipy", "pytest", "hypothesis", "scikit-image"]
# name: Python, and what is pinned. transformers brings the tokenizers; the encoders are our own.
MATRIX = {
    "oldest": ("3.10", ["torch==2.4.1", "transformers==4.44.2", "kornia==0.7.0", "numpy<2"]),
    "between": ("3.11", ["torch==2.7.1", "transformers==4.49.0", "kornia==0.7.3"]),
    "middle": ("3.12", ["torch==2.9.1", "transformers>=4.57,<5", "kornia==0.7.4"]),
    "late": ("3.11", ["torch==2.13.0", "transformers>=5", "kornia"]),
    "newest": ("3.13", ["torch", "transformers>=5", "kornia"]),
}


def session_of(name: str, python: str, pinned: list[str]) -> None:
    """Register one row of the matrix."""

    @nox.session(name=name, python=python)
    def versions(session: nox.Session) -> None:
        session.install(*pinned, *COMMON)
        tests = session.posargs or TESTS
        session.run("python", "-m", "pytest", "-c", "tests/pytest.ini", "-q", *tests)


for row, (python, pinned) in MATRIX.items():
    session_of(row, python, pinned)
