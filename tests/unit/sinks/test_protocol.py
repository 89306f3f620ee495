import inspect
from typing import get_args

import pytest

from lasso_jobs.sinks.protocol import Format, Sink, sink

FUNCTIONS = ("write_files", "commit", "check", "committed", "history", "exists", "read")


@pytest.mark.parametrize("format_", get_args(Format))
def test_every_format_has_a_sink_with_the_functions_of_the_protocol(format_: Format) -> None:
    found = sink(format_)
    for name in FUNCTIONS:
        expected = inspect.signature(getattr(Sink, name)).parameters
        assert list(inspect.signature(getattr(found, name)).parameters) == list(expected)[1:]
