"""Sphinx configuration; the build needs no network, and neither do the pages."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent / "src")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from matropy import __version__  # noqa: E402

project = "matropy"
author = "The matropy developers"
copyright = "2026, The matropy developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "from_code",
]
exclude_patterns = ["_build", "examples", "**/README.md", "**.ipynb"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
default_role = None
nitpicky = False

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
add_module_names = False
viewcode_line_numbers = True

html_math_renderer = "mathml"
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "plot_gallery": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1_000_000,
    "remove_config_comments": True,
    "reference_url": {"matropy": None},
    "write_computation_times": False,
    "image_srcset": ["2x"],
    "reset_modules": ("gallery_style.house_style",),
}

html_theme = "pydata_sphinx_theme"
html_title = "matropy"
html_static_path = ["_static"]
html_css_files = ["matropy.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "search": []}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "matropy"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
