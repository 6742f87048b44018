"""A matplotlib figure as SVG that stands inside a page: no inline style, no ids of its own, colours from the page's theme."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
# What a page's own style says better: its fonts.
_LEFT_TO_THE_PAGE = ("font", "font-family")


def inline_svg(figure: "Figure", *, name: str, says: str, theme: Mapping[str, str]) -> str:
    """Draw the figure as one `<svg>` element, equal for equal figures.

    `says` is read out in its stead. `theme` maps each colour of the figure (as `#rrggbb`) to the one written for it, such
    as `var(--ink)`. Ids begin with `name`. Style attributes become plain ones, since the page's policy forbids the former.
    """
    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ET.fromstring(drawn.getvalue())  # noqa: S314 (made a line above)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", says)
    _drop(root, (f"{_SVG}metadata", f"{_SVG}style"))
    used = {each for element in root.iter() for each in _references(element)}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.text, element.tail = (text if text and text.strip() else None for text in (element.text, element.tail))
        _plain(element, theme)
        _name(element, name, used)
    return ET.tostring(root, encoding="unicode")


def _drop(element: ET.Element, tags: tuple[str, ...]) -> None:
    for child in list(element):
        if child.tag in tags:
            element.remove(child)
        else:
            _drop(child, tags)
            if child.tag == f"{_SVG}defs" and not len(child):
                element.remove(child)


def _references(element: ET.Element) -> list[str]:
    found = [each for value in element.attrib.values() for each in _REFERENCE.findall(value)]
    href = element.attrib.get(_XLINK_HREF)
    return found if href is None else [*found, href.removeprefix("#")]


def _plain(element: ET.Element, theme: Mapping[str, str]) -> None:
    for rule in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in rule.partition(":"))
        if key and key not in _LEFT_TO_THE_PAGE:
            element.set(key, value)
    for key, value in element.attrib.items():
        if key in ("fill", "stroke"):
            element.set(key, theme.get(value, value))
        elif key in ("d", "x", "y", "width", "height", "transform"):
            element.set(key, _NUMBER.sub(lambda match: f"{float(match.group()):.4g}", " ".join(value.split())))


def _name(element: ET.Element, name: str, used: set[str]) -> None:
    if (own := element.attrib.pop("id", None)) in used:
        element.set("id", f"{name}-{own}")
    for key, value in list(element.attrib.items()):
        if key == _XLINK_HREF:
            del element.attrib[key]
            element.set("href", f"#{name}-{value.removeprefix('#')}")
        elif "url(#" in value:
            element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
