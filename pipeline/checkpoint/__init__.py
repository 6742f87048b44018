"""A job's record on disk: what was asked, what came back, and the output made from it.

Everything here obeys one order: data on disk -> its name -> the folder -> the journal's commit -> the older copy goes.
A file counts only once the journal says so, and what the journal says is on disk before anybody is told.
"""
