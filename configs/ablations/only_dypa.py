# DyPA alone: a frozen image encoder, and no PGT.
_base_ = './mapper_without_loca.py'
model = dict(language_model=dict(pgt=None))
