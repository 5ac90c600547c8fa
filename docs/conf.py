"""How Sphinx makes the site: `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

from landmarks import __version__  # noqa: E402 - found through the path above

project = "landmarks"
author = "The landmarks authors"
copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "landmarks_reference",
    "mathml",
]
exclude_patterns = ["_ext", "generated/measured/*.md"]
html_theme = "furo"
html_title = f"landmarks {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_math_renderer = "mathml"
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the pages that typer makes begin deeper

default_role = "literal"  # docstrings put names in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Names of other projects, and type variables, are no links: the site builds without a network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!landmarks\.).*")]
# For `make links`, which asks all addresses of other sites; pages of the site itself are checked by every build.
linkcheck_timeout = 30
linkcheck_retries = 3
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]  # made by a script, so not in the page

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
