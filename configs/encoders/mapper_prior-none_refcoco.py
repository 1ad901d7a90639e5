# No prior: one scale for all tokens in DyPA, and no PGT, which joins tokens with the prior.
_base_ = '../mapper_refcoco.py'
model = dict(language_model=dict(prior=None, pgt=None))
