"""Files by local path or URI, and dataclasses packed into them."""
