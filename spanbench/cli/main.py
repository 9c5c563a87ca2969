"""Entry point: the one place where an error becomes a line and an exit code.

Everything that takes time to import is imported within `main`, where Ctrl-C is already answered.
"""

from __future__ import annotations

from spanbench.cli.interrupt import INTERRUPTED, answer_interrupts, say
from spanbench.errors import SpanbenchError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code (0 fine, 2 usage, 3 cannot count, 5 nothing measured, 130 interrupted).

    `arguments` None takes those of this process, which is then left with Ctrl-C answered until its very end.
    """
    with answer_interrupts(until_the_end=arguments is None):
        return _answered(arguments)


def _answered(arguments: list[str] | None) -> int:
    try:
        from spanbench.cli.app import run_app

        return run_app(arguments)
    except SpanbenchError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:  # raised by something other than the signal that is answered, such as a test
        return _fail("interrupted; what was not finished is not kept", INTERRUPTED)
    except MemoryError:
        return _fail("out of memory; take fewer --tokens, a smaller --batch or a smaller --preset", 2)


def _fail(message: str, code: int) -> int:
    say(f"spanbench: error: {message}")
    return code
