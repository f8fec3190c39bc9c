"""Says in one line why a run failed: the kind of the error and what it says, also if another process raised it."""

import re

from vrft_aug.errors import InputError, RunFailed

NAME = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Failed|Interrupt)(?:: |$)")  # begins the last line of a traceback


def why(error: BaseException) -> str:
    """The kind and the text of an error; of a text of several lines, the first and the last.

    A text that holds a traceback comes from another process, as with Ray. Then the error at its end is the cause.
    """
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalpha, line))]
    causes = [number for number, line in enumerate(lines) if NAME.match(line)]
    lines = lines[causes[-1] :] if causes else lines
    text = " ... ".join(dict.fromkeys([lines[0], lines[-1]])) if lines else "it gives no reason"
    return text if causes or isinstance(error, InputError | RunFailed) else f"{type(error).__name__}: {text}"
