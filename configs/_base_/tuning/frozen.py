# Frozen encoders: only the fusion encoder and the box head are trained.
tuning = dict(backbone=dict(adapter=None), language_model=dict(prior=None, pgt=None, adapter=None))
