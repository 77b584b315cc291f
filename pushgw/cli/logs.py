"""Logging: structlog to stderr, one event name a fact, key=value; console on a terminal, else JSON.

Lines that repeat are sampled (log_sampler.py); tokens and secrets are masked (log_masks.py).
"""

from __future__ import annotations

import atexit
import logging
import sys
from types import TracebackType
from typing import TextIO, cast

import structlog

from pushgw.cli.log_masks import mask_secrets, without_words
from pushgw.cli.log_sampler import Sampler
from pushgw.settings import LogSettings

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Stderr:
    """The process's stderr of the moment, as a stream."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STDERR = cast("TextIO", _Stderr())
_sampler = Sampler()


def set_up_logs(settings: LogSettings, *, for_good: bool = False, worker: int | None = None) -> None:
    """At the start of a command. Whatever ``sys.stderr`` is when a line is written, that is where it goes.

    ``worker``: its number, in every line that this process writes, also of a crash.
    """
    global _sampler  # one process, one log
    _sampler.close()
    _sampler = Sampler()
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_words,
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    if worker is not None:
        shared.append(_named(worker))
        sys.excepthook = _crashed
    last: list[structlog.typing.Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if console
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[_sampler, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(_STDERR),
        cache_logger_on_first_use=for_good,
    )
    # Libraries log through the standard library; only their warnings matter to an operator.
    handler = logging.StreamHandler(_STDERR)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _named(worker: int) -> structlog.typing.Processor:
    def add_worker(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["worker"] = worker
        return event

    return add_worker


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What the interpreter would print as a bare traceback, as a line of the common log."""
    structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))


@atexit.register
def _say_the_rest() -> None:
    """What was left out of the log and is not told yet, at the end of the process."""
    _sampler.close()
