# Frozen encoders: only the fusion encoder and the box head learn.
tuning = dict(backbone=dict(adapter=None), language_model=dict(prior=None, pgt=None, adapter=None))
