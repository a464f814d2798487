"""What the docstrings say, in a form that the site can show.

They are written for a reader of the source: Google style, cross-references such as
``:func:`samar.train```, formulas in LaTeX, defaults that are constants, and settings whose help is
an argument of :func:`samar.settings.declare.setting`. On the site references are links, formulas
are MathML, which browsers draw without a script, a default is its value, and a setting's help is
its description.
"""

import re
from pydoc import locate
from textwrap import dedent
from typing import Any

import griffe
from latex2mathml.converter import convert
from pydantic import BaseModel

ROLE = re.compile(r":(?:class|func|mod|meth|attr|data|obj|exc):`~?([^`]+)`")
MATH = re.compile(r"^([ ]*)\.\. math::[ ]*(.*(?:\n\1[ ]+\S.*)*)\n?", re.MULTILINE)
EXAMPLE = re.compile(r"^([ ]*)Example:$", re.MULTILINE)
LITERAL = re.compile(r"::$", re.MULTILINE)
CONSTANT = re.compile(r"[A-Z][A-Z_]*")
PLAIN = (bool, int, float, str, tuple, type(None))


class Docstrings(griffe.Extension):
    """Called by mkdocstrings for everything that it shows."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Describe a field before a dataclass's signature is made of its fields."""
        if isinstance(attr.parent, griffe.Class):
            _describe_field(attr, attr.parent)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite what is written for readers of the source."""
        if isinstance(obj, griffe.Function):
            for parameter in obj.parameters:
                _name_default(parameter, obj)
        if obj.docstring is not None:
            obj.docstring.value = _for_the_site(obj.docstring.value, obj)


def _for_the_site(text: str, obj: griffe.Object) -> str:
    text = MATH.sub(lambda found: _formula(found[1], found[2]), text)
    text = ROLE.sub(lambda found: _link(found[1], obj), text)
    text = EXAMPLE.sub(r"\1Examples:", text)
    return LITERAL.sub(":", text)


def _formula(indentation: str, latex: str) -> str:
    shown = convert(" ".join(dedent(latex).split()), display="block")
    return f'\n{indentation}<div class="math">{shown}</div>\n'


def _link(name: str, obj: griffe.Object) -> str:
    """A link where the site has the object, else its name."""
    target = _resolved(name, obj)
    shown = name.rpartition(".")[2]
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'


def _resolved(name: str, obj: griffe.Object) -> str:
    try:
        return obj.resolve(name)
    except griffe.NameResolutionError:
        return name


def _name_default(parameter: griffe.Parameter, function: griffe.Function) -> None:
    """The value of a default that is written as a constant."""
    if CONSTANT.fullmatch(str(parameter.default)):
        value = locate(_resolved(str(parameter.default), function))
        if isinstance(value, PLAIN):
            parameter.default = repr(value)


def _describe_field(field: griffe.Attribute, parent: griffe.Class) -> None:
    """A setting's default and help, or the default of a dataclass's field, as they are at work."""
    call = str(field.value or "").partition("(")[0]
    if call not in ("setting", "default_of"):
        return
    owner: Any = locate(parent.path)
    if call == "default_of":
        field.value = repr(getattr(owner, field.name))
    elif isinstance(owner, type) and issubclass(owner, BaseModel):
        found = owner.model_fields[field.name]
        field.value = repr(found.default)
        field.docstring = griffe.Docstring(found.description or "", parent=field)
