"""An S3 API on loopback, moto's; prints its port, and ends with its standard input."""

import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

app = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def atomic(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    # S3 checks and writes in one step; moto looks first, and writes then.
    with one_at_a_time:
        return list(app(environ, start_response))


server = make_server("127.0.0.1", 0, atomic, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"{server.port}\n")
sys.stdout.flush()
sys.stdin.read()
