from .bundle import load_released as load_released
from .bundle import load_tiny as load_tiny
from .interface import Answer as Answer
from .interface import Pipeline as Pipeline
from .interface import load as load
from .pipeline import Bundle as Bundle
from .pipeline import Request as Request
from .pipeline import Result as Result
from .pipeline import run as run
from .tasks import TASKS as TASKS
from .tasks import instruction as instruction
from .version import __version__ as __version__

__all__ = [
    "TASKS",
    "Answer",
    "Bundle",
    "Pipeline",
    "Request",
    "Result",
    "__version__",
    "instruction",
    "load",
    "load_released",
    "load_tiny",
    "run",
]
