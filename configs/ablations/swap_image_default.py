# What swapped image encoders are compared with: the default's own, of random weights, all of it
# trained, beside a frozen BERT. One epoch in small batches, and no prior.
_base_ = '../mapper_shapes.py'
model = dict(
    backbone=dict(pretrained=None, adapter=dict(_delete_=True, type='FullTuning')),
    language_model=dict(prior=None, pgt=None, adapter=None),
)
train_dataloader = dict(batch_size=24)
train_cfg = dict(max_epochs=1)
