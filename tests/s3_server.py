"""An S3 API on loopback, moto's; prints its port, and ends with its standard input.

``PUT /-/kill?pid=P&moment=N`` has it kill a process of that id at one of its requests that change
something: an even moment is before the request of half its number is carried out, an odd one after
it, before its answer. So a kill falls inside of what a library does with several requests, too.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

app = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


class Victim:
    """The process to kill, and how many moments it has still to live."""

    def __init__(self, pid: int = 0, moments: int = -1) -> None:
        self.pid, self.moments, self.is_dead = pid, moments, False

    def live(self) -> None:
        """Let a moment pass, and kill the process if it was the last one."""
        if self.moments == 0:
            os.kill(self.pid, signal.SIGKILL)
            self.is_dead = True
        self.moments -= 1


victim = Victim()


def refused(start_response: Any) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [])
    return [b""]


def atomic(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    global victim
    # S3 checks and writes in one step; moto looks first, and writes then.
    with one_at_a_time:
        if environ["PATH_INFO"] == "/-/kill":
            told = {key: int(value) for key, (value,) in parse_qs(environ["QUERY_STRING"]).items()}
            victim = Victim(told["pid"], told["moment"])
            start_response("200 OK", [])
            return [b""]
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return list(app(environ, start_response))
        victim.live()
        # What else a dead process had sent does not arrive.
        if victim.is_dead:
            return refused(start_response)
        answer = list(app(environ, start_response))
        victim.live()
        return answer


server = make_server("127.0.0.1", 0, atomic, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"{server.port}\n")
sys.stdout.flush()
sys.stdin.read()
