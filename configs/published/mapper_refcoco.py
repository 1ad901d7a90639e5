# RefCOCO with the behaviour of the published code, except augmentation. For its checkpoints with 20
# tokens, converted by tools/model_converters/published2mm.py.
_base_ = ['../mapper_refcoco.py', '../_base_/models/published_behaviour.py']
model = _base_.published_behaviour
# The published training drops the last, smaller batch of an epoch.
train_dataloader = dict(drop_last=True)
