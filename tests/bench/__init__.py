"""How fast, and in how much memory: `rowcall run` beside a bare loop, in alternation, and each figure beside its goal."""
