"""Jinja2 templates over a row's columns, compiled once. What is wrong for every row is found when they are built.

The template is the user's own; the cells are anybody's. Cells are only ever values: what they say is never read as template
text. The sandbox keeps expressions from Python's insides, no loader means no files, and sizes are bounded.

Beyond the columns a template may use `row`, all columns as a mapping: `{{ row['my column'] }}` is how a column is written
whose name is no plain word, or is one of Jinja2's own. What would make two renderings of a row differ is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import NoReturn

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes

from pipeline.core.errors import BadRowError, ConfigError
from pipeline.core.redact import harmless
from pipeline.prompts.names import nearest, no_column, shown
from pipeline.prompts.nulls import PLAIN, opened
from pipeline.prompts.sandbox import ENVIRONMENT, GLOBALS, MOST_BYTES

_WHOLE_ROW = "row"
# What an expression over unforeseen cells can raise. A bug of ours would be among them too, but then names its line.
_FAILURES = (
    *(TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError),  # `truncate(2)` asserts
    *(MemoryError, RuntimeError, TypeError, ValueError),
)


class Template:
    """One template of the config, `key` saying which. `columns` are those it needs."""

    def __init__(self, source: str, *, key: str, columns: Sequence[str]) -> None:
        """Raise ConfigError for what no row could mend: syntax, unknown filters, unknown columns."""
        self._key = key
        self._lines = source.count("\n") + 1
        try:
            tree = ENVIRONMENT.parse(source)
            _refuse_unusable(tree)
            free = meta.find_undeclared_variables(tree)
            self.columns = _columns_of(tree, free, columns)
            self._template = ENVIRONMENT.from_string(source)
            # Plain, where Jinja2 would put a chain of mappings that is copied for each row: 2 of a rendering's 4 us.
            self._template.globals = dict(GLOBALS)
        except TemplateSyntaxError as error:
            raise ConfigError(self._at(error.lineno, f"{harmless(error.message or '')}{_hint(source, columns)}")) from error
        except _Unusable as error:
            raise ConfigError(self._at(error.line, str(error))) from error
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
            raise ConfigError(f"{key}: this template is nested too deeply or holds a number too large to compile") from error
        self._whole_row = _WHOLE_ROW in free and _WHOLE_ROW not in columns

    def render(self, cells: Mapping[str, object]) -> str:
        """Give the text for these cells. Raise BadRowError where they do not fit the template."""
        names = {name: cell if type(cell := cells[name]) in PLAIN else opened(cell, name) for name in self.columns}
        if self._whole_row:
            names[_WHOLE_ROW] = dict(names)
        try:
            text = "".join(_bounded(self._template.generate(names)))
            if not text.isascii() and len(_encoded(text)) > MOST_BYTES:
                _too_long()
        except BadRowError as error:
            raise BadRowError(self._at(_line_of(error), str(error))) from error
        except _FAILURES as error:
            raise BadRowError(self._at(_line_of(error), _words_of(error))) from error
        return text

    def _at(self, line: int | None, words: str) -> str:
        return f"{self._key}, line {line}: {words}" if line and self._lines > 1 else f"{self._key}: {words}"


def checked_text(text: str, where: str) -> str:
    """Give text of the row's own if it can be sent as UTF-8, else raise BadRowError."""
    if not text.isascii():
        try:
            _encoded(text)
        except BadRowError as error:
            raise BadRowError(f"{where}: {error}") from error.__cause__
    return text


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadRowError("the text holds half a character (a lone surrogate)") from error


def _bounded(pieces: Iterator[str]) -> Iterator[str]:
    left = MOST_BYTES
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            _too_long()
        yield piece


def _too_long() -> NoReturn:
    raise BadRowError(f"the text is longer than {MOST_BYTES:,} bytes")


# -- before the first row


class _Unusable(Exception):
    """Jinja2 accepts it, rowcall does not."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line


def _refuse_unusable(tree: nodes.Template) -> None:
    """Refuse what could only fail at a row: other templates, unknown filters and tests, the template itself as a value."""
    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise _Unusable(node.lineno, "include, import and extends are not available: a template stands by itself")
    for kind, known in ((nodes.Filter, ENVIRONMENT.filters), (nodes.Test, ENVIRONMENT.tests)):
        for named in tree.find_all(kind):
            if named.name not in known:
                raise _Unusable(named.lineno, _unknown(type(named).__name__.lower(), named.name, known))
    for name in tree.find_all(nodes.Name):
        if name.name == "self" and name.ctx == "load":
            raise _Unusable(name.lineno, f"self is Jinja2's own name; a column called so is written {_WHOLE_ROW}['self']")


def _unknown(kind: str, name: str, known: Mapping[str, object]) -> str:
    close = nearest(name, known)
    return f"there is no {kind} {shown(name)}" + (f"; did you mean {shown(close)}?" if close else "")


def _columns_of(tree: nodes.Template, free: set[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Give the columns a template needs, in the input's order. `free` are the names that it does not define itself."""
    used = free & set(columns)
    # A name set on one path only is free on the others: `{% if note is defined %}` may be asking for just that.
    known = used | GLOBALS.keys() | _set_by(tree)
    if _WHOLE_ROW in free - used:
        used |= _columns_of_row(tree, columns)
        known |= {_WHOLE_ROW}
    for name in tree.find_all(nodes.Name):
        if name.name in free - known:
            raise _Unusable(name.lineno, no_column(name.name, columns) + _row_hint(name.name, columns))
    return tuple(column for column in columns if column in used)


def _set_by(tree: nodes.Template) -> set[str]:
    assigned = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    return assigned | {macro.name for macro in tree.find_all(nodes.Macro)}


def _columns_of_row(tree: nodes.Template, columns: Sequence[str]) -> set[str]:
    """Give the columns meant by `row[…]`. Where that is not written out, as in a loop over `row`, it may be any."""
    spelled: list[tuple[int, str]] = []
    for access in tree.find_all((nodes.Getitem, nodes.Getattr)):
        match access:
            case nodes.Getitem(node=nodes.Name(name="row"), arg=nodes.Const(value=str(column))):
                spelled.append((access.lineno, column))
            case nodes.Getattr(node=nodes.Name(name="row"), attr=column) if not hasattr(dict, column):
                spelled.append((access.lineno, column))
    uses = [name for name in tree.find_all(nodes.Name) if name.name == _WHOLE_ROW]
    if len(spelled) < len(uses) or any(name.ctx != "load" for name in uses):
        return set(columns)
    for line, column in spelled:
        if column not in columns:
            raise _Unusable(line, no_column(column, columns))
    return {column for _, column in spelled}


def _hint(source: str, columns: Sequence[str]) -> str:
    """For a syntax error: perhaps a column's name was written out that no template can hold."""
    for column in columns:
        if not column.isidentifier() and column in source:
            return _way_to(column)
    return ""


def _row_hint(name: str, columns: Sequence[str]) -> str:
    """For `{{ image-url }}`, which Jinja2 reads as image minus url."""
    for column in columns:
        if not column.isidentifier() and column.startswith(name):
            return _way_to(column)
    return ""


def _way_to(column: str) -> str:
    return f"; the column {shown(column)} is written {_WHOLE_ROW}[{shown(column)}]"


# -- at a row


def _line_of(error: BaseException) -> int | None:
    """Give the template's line where it went wrong: Jinja2 rewrites the traceback to say so."""
    line: int | None = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _words_of(error: BaseException) -> str:
    match error:
        case TemplateError():
            return harmless(error.message or "the template failed")
        case MemoryError() | RecursionError():
            return "rendering took too much memory"
        case KeyError() | AttributeError():
            return harmless(f"there is no {error}")
    return harmless(str(error) or type(error).__name__)
