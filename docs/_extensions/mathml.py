"""Formulas as MathML, which browsers draw themselves: no script, no font, nothing from the network."""

import re

from latex2mathml.converter import convert
from sphinx.util import logging

_NEEDS_SPACE = re.compile(r'(<mi>(?:ln|log|exp)</mi>)(?!<mo stretchy="false">&#x00028;|</m)')


def inline(self, node):
    """Draw a formula within a line."""
    self.body.append(f'<span class="math">{_mathml(node, "inline")}</span>')
    raise _skip()


def block(self, node):
    """Draw a formula on lines of its own; wide ones scroll."""
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    self.body.append(f'<div class="math-block" tabindex="0">{number}{_mathml(node, "block")}</div>\n')
    raise _skip()


def _mathml(node, display):
    latex = node.astext()
    try:
        mathml = convert(latex, display=display)
    except Exception as error:
        logging.getLogger(__name__).warning("cannot set the formula %r: %r", latex, error, location=node)
        return ""
    left_over = re.search(r"\\[A-Za-z]+", re.sub(r"<[^>]*>", "", mathml))
    if left_over:
        logging.getLogger(__name__).warning("unknown command %s", left_over.group(), location=node)
    mathml = re.sub(r"<mo>(min|max)</mo>", r"<mi>\1</mi>", mathml)
    mathml = mathml.replace("<mo>&#x0002F;</mo>", '<mo lspace="0" rspace="0">&#x0002F;</mo>')
    return _NEEDS_SPACE.sub(r'\1<mspace width="0.167em" />', mathml)


def _skip():
    from docutils.nodes import SkipNode

    return SkipNode()


def setup(app):
    """Register the renderer; ``html_math_renderer = "mathml"`` selects it."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
