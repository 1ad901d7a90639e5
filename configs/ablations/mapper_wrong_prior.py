# The prior is computed from BERT's token numbers, as published: from other words.
_base_ = '../petl/mapper.py'
model = dict(language_model=dict(prior=dict(type='PublishedCLIPTextPrior')))
