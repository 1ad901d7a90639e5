# BitFit: every bias of both encoders.
tuning = dict(
    backbone=dict(adapter=dict(_delete_=True, type='BitFit')),
    language_model=dict(prior=None, pgt=None, adapter=dict(_delete_=True, type='BitFit')),
)
