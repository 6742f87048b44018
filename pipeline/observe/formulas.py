"""Which cells a spreadsheet would run instead of show."""

import re

# How such a cell begins: the signs as typed in the West and in East Asia, and blanks that some drop. A number is shown as
# it is, whatever its sign.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")


def is_formula(cell: str) -> bool:
    return cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell)
