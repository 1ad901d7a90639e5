# Full fine-tuning of both encoders.
tuning = dict(
    backbone=dict(adapter=dict(_delete_=True, type='FullTuning')),
    language_model=dict(prior=None, pgt=None, adapter=dict(_delete_=True, type='FullTuning')),
)
