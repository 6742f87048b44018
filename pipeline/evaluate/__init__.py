"""Scoring completions against references, and comparing two runs, with the extra `evaluate`: texts in, values of core/scores out.

metric      what a metric is                       catalogue   the metrics by name
matches; found, numbers, choices, jsons            our own     normal     SQuAD's normalisation, numbers kept
translation, rouge, error_rates                    libraries'  cider, ngrams   CIDEr-D
extract     the answer in a completion             missing     rows that have none, and why
cells       columns as texts                       scoring     a table's rows as arrays of scores
intervals, pairs                                   statistics, of arrays alone
evaluation  scores of all and of groups            comparison  two tables, row by row      gates   bounds on both
"""
