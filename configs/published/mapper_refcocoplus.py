# RefCOCO+ with the behaviour of the published code, except augmentation.
_base_ = ['../mapper_refcocoplus.py', '../_base_/models/published_behaviour.py']
model = _base_.published_behaviour
train_dataloader = dict(drop_last=True)
