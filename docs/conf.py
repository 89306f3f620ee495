"""Sphinx's configuration. Neither the build nor a reader of the site needs a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import reference

project = "lasso_jobs"
copyright = "lasso_jobs contributors"
html_title = "lasso_jobs"
extensions = ["myst_parser", "mathml", "offline"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 4
myst_substitutions = reference.pages()

smartquotes = False  # quotes are part of filters

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
pygments_style = "default"
pygments_dark_style = "github-dark"
