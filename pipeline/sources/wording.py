"""How file names and foreign error texts appear in one-line messages."""

_MOST_CHARS = 200


def shown(path: object) -> str:
    """Give a file name that is safe to print: control characters and bytes that are no text come escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def reason(error: BaseException) -> str:
    """Give the first words of an error of Arrow's or the system's, without its paths where it can be helped."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(" ".join(text.split())[:_MOST_CHARS]) or type(error).__name__
