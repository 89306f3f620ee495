"""``python -m lasso_jobs``."""

import sys

from lasso_jobs.cli import main

if __name__ == "__main__":
    sys.exit(main())
