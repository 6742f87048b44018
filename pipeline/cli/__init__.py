"""The command line: one module a verb, each of which parses, calls one function and prints. Verbs are imported when used."""

from pipeline.cli.main import main

__all__ = ["main"]
