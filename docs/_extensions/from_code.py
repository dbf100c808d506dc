"""Directives whose content is the code itself: public names, metrics, methods, claims, options.

What they show is read when the pages are built, so it cannot drift from what is installed.
"""

import importlib
import inspect
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective


class Room(SphinxDirective):
    """``.. room:: matropy.linalg``: a summary of the public names of a room, then each in full (RST pages only)."""

    required_arguments = 1

    def run(self):
        """Write the page of a room."""
        room = self.arguments[0]
        module = importlib.import_module(room)
        lines = [f".. automodule:: {room}", "", f".. currentmodule:: {room}", ""]
        named = [(name, getattr(module, name)) for name in sorted(module.__all__, key=str.casefold)]
        # A room within a room has a page of its own.
        named = [(name, thing) for name, thing in named if not inspect.ismodule(thing)]
        kinds = {
            "Functions": [name for name, thing in named if inspect.isfunction(thing)],
            "Classes": [name for name, thing in named if inspect.isclass(thing)],
            "Values": [name for name, thing in named if not callable(thing)],
        }
        for names in kinds.values():
            lines += [f"- :obj:`{name}`: {_first_line(getattr(module, name))}" for name in names]
        for title, names in kinds.items():
            if not names:
                continue
            lines += ["", title, "-" * len(title), ""]
            for name in names:
                lines += [*_entry(room, name, getattr(module, name)), ""]
        container = nodes.section()
        container.document = self.state.document
        self.state.nested_parse(
            StringList(lines, source=f"<{room}>"), self.content_offset, container, match_titles=True
        )
        return container.children


def _entry(room, name, thing):
    if inspect.isclass(thing):
        return [f".. autoclass:: {room}.{name}", "   :members:"]
    if callable(thing):
        return [f".. autofunction:: {room}.{name}"]
    return [f".. py:data:: {name}", "", f"   {_first_line(thing)}"]


def _first_line(thing):
    if not callable(thing):
        return _VALUES.get(type(thing), f"A {type(thing).__name__}.")
    return inspect.getdoc(thing).splitlines()[0]


_VALUES = {
    str: "The installed version.",
    dict: "Every metric by its name: its unit, what it measures, what pure chance gives, when not to trust it.",
    tuple: "The rungs, smallest first.",
}


class Glossary(SphinxDirective):
    """``{metric-glossary}``: every figure of an evaluation, in the words of the report."""

    def run(self):
        """Build a definition list."""
        from matropy.evaluation import METRICS

        items = nodes.definition_list(classes=["metric-glossary"])
        for name, metric in METRICS.items():
            unit = nodes.inline("", f" {metric.unit}") if metric.unit else nodes.inline()
            term = nodes.term("", "", nodes.literal(name, name), unit)
            body = nodes.paragraph("", metric.what)
            aside = nodes.paragraph(
                "", "", nodes.emphasis("", "Without structure: "), nodes.Text(metric.null)
            )
            caution = nodes.paragraph("", "", nodes.emphasis("", "Caution: "), nodes.Text(metric.caution))
            items += nodes.definition_list_item("", term, nodes.definition("", body, aside, caution))
        return [items]


class Catalog(SphinxDirective):
    """``{catalog}``: the methods, and which of them work in this version."""

    def run(self):
        """Build two tables: what works, and what is still to come."""
        from matropy.studies import catalog

        methods = catalog()
        built = [method for method in methods if method.available]
        planned = [method for method in methods if not method.available]
        blocks = [
            nodes.paragraph("", f"{len(built)} of {len(methods)} methods work in version {_version()}.")
        ]
        head = ("#", "Method", "Room")
        if built:
            blocks.append(_table(head, [self._row(method) for method in built]))
        if planned:
            blocks += [
                nodes.rubric("", "Not built yet"),
                _table(head, [self._row(method) for method in planned]),
            ]
        return blocks

    def _row(self, method):
        title = nodes.Text(method.title)
        if (Path(self.env.srcdir) / "methods" / f"{method.study}.md").exists():
            title = addnodes.pending_xref(
                "",
                nodes.inline("", method.title),
                refdomain="std",
                reftype="doc",
                reftarget=f"/methods/{method.study}",
                refexplicit=True,
                refwarn=True,
            )
        paper = nodes.inline("", f"{method.paper}, {method.year}", classes=["paper"])
        rooms = [
            nodes.inline("", "", nodes.literal(room, room), nodes.Text(" "))
            for room in method.room.split(", ")
        ]
        return [nodes.Text(str(method.seed))], [title, nodes.Text(" "), paper], rooms


class Claims(SphinxDirective):
    """``{study-claims} matrix-nuclear-norm``: what a study puts to the test."""

    required_arguments = 1

    def run(self):
        """Build a table, the paper's claims first."""
        from matropy.studies import catalog

        method = next(method for method in catalog() if method.study == self.arguments[0])
        order = ("paper", "theory", "peer", "own")
        rows = [
            (
                [nodes.Text(claim.sentence)],
                [nodes.Text("" if claim.published is None else str(claim.published))],
                [nodes.Text(claim.origin)],
                [nodes.Text("holds" if claim.expected else "refuted")],
            )
            for claim in sorted(method.load().claims, key=lambda claim: order.index(claim.origin))
        ]
        return [_table(("Claim", "Figure", "Origin", "Recorded"), rows)]


class Options(SphinxDirective):
    """``{command-options} evaluate``: the options of a command, in the words of its help."""

    required_arguments = 1

    def run(self):
        """Build a table."""
        rows = []
        for option in command(self.arguments[0]).params:
            if option.name == "help" or option.hidden:
                continue
            name = option.opts[0] if option.param_type_name == "option" else option.name.upper()
            default = (
                option.default
                if option.default not in (None, False, []) and "default" not in option.help
                else ""
            )
            rows.append(
                (
                    [nodes.literal(name, name)],
                    [nodes.Text(option.help)],
                    [nodes.literal(str(default), str(default))] if default != "" else [],
                )
            )
        return [_table(("Option", "Meaning", "Default"), rows)]


def command(name):
    """Give the click command behind ``matropy NAME``."""
    import typer

    from matropy.cli._main import _app

    return typer.main.get_command(_app(debug=False)).commands[name]


def _table(head, rows):
    table = nodes.table(classes=["from-code"])
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", _row([[nodes.Text(word)] for word in head]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    table += group
    return table


def _row(cells):
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def _version():
    from matropy import __version__

    return __version__


def keep_initials(app, what, name, obj, options, lines):
    """Stop ``D. N. Page, 1993`` at the start of a reference from becoming the fourth item of a list."""
    for number, line in enumerate(lines):
        lines[number] = re.sub(r"^(\s*)([A-Z]\. )", r"\1\\\2", line)


def leave_out_routing(app, what, name, obj, skip, options):
    """Leave out ``set_fit_request`` and the like, which scikit-learn makes for every estimator."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app):
    """Register the directives."""
    app.connect("autodoc-process-docstring", keep_initials, priority=900)
    app.connect("autodoc-skip-member", leave_out_routing)
    app.add_directive("room", Room)
    app.add_directive("metric-glossary", Glossary)
    app.add_directive("catalog", Catalog)
    app.add_directive("study-claims", Claims)
    app.add_directive("command-options", Options)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
