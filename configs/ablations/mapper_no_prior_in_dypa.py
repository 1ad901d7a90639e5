# DyPA with a scale of 1 for every token; PGT still reads the prior.
_base_ = '../petl/mapper.py'
model = dict(language_model=dict(adapter=dict(prior=None)))
