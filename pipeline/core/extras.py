"""The words for a library that is missing, since rowcall does without it until it is asked for."""


def missing_extra(extra: str, *, upgrade: bool = False) -> str:
    """Say how to install what an extra of pyproject.toml brings, for those who have rowcall from an index or a clone."""
    pip = "pip install --upgrade" if upgrade else "pip install"
    return f"{pip} 'rowcall[{extra}]', or in a clone of it: {pip} '.[{extra}]'"
