# Text adapters without the CLIP prior: one scale for all tokens, and no PGT.
_base_ = '../mapper_shapes.py'
model = dict(language_model=dict(prior=None, pgt=None))
