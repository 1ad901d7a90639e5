# DyPA with one scale per phrase instead of one per token.
_base_ = '../petl/mapper.py'
model = dict(language_model=dict(adapter=dict(prior='sentence')))
