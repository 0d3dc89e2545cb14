"""The documentation site: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import inspect
import os
import pathlib
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
DOCS = pathlib.Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

# ruff: noqa: E402
import repository
from sphinx.util.inspect import signature, stringify_signature

import lea_keras

project, author = "lea_keras", "the authors of lea_keras"
version = release = lea_keras.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "repository"]
exclude_patterns = ["_build", "_ext", "study", *([] if repository.has_study() else ["study.md"])]
templates_path = []

# Markdown and notebooks, with their stored outputs.
nb_execution_mode = "off"
myst_heading_anchors = 4
myst_links_external_new_tab = True

# Docstrings: Google style, plain backticks for code; what Keras' own base classes say is Keras' to say.
default_role = "code"
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype = False
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True

html_theme = "pydata_sphinx_theme"
html_title = f"lea_keras {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "command_line", "study")}  # they have no pages below them
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}


def class_signature(app, what, name, obj, options, arguments, returned):
    """That of ``__init__``: Keras' layers and models have a ``__new__`` that takes anything."""
    if what != "class" or "__new__" not in {key for base in obj.__mro__[:-1] for key in vars(base)}:
        return None
    if issubclass(obj, tuple):
        return None
    written = signature(obj.__init__, bound_method=False)
    written = written.replace(parameters=[p for p in written.parameters.values() if p.name != "self"])
    text = stringify_signature(written.replace(return_annotation=inspect.Signature.empty), unqualified_typehints=True)
    return text, ""


def skip_field(app, what, name, obj, skip, options):
    """Fields of named tuples are told under "Attributes" already."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-skip-member", skip_field)
    app.connect("autodoc-process-signature", class_signature)
