# PGT alone: both encoders frozen, the prior joined to BERT's features.
_base_ = './mapper_without_loca.py'
model = dict(language_model=dict(adapter=None))
