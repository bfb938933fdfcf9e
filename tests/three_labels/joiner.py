"""``python -m tests.three_labels.joiner``: the joiner of that shop."""

import sys

from services.joiner import __main__ as entry
from shared.tasks import TASKS
from tests.three_labels import TASK

if __name__ == "__main__":
    TASKS[TASK.name] = TASK
    sys.exit(entry.main())
