# RefCOCOg (UMD's splits) with the behaviour of the published code, except augmentation. For its
# checkpoints with 40 tokens, converted by tools/model_converters/published2mm.py.
_base_ = ['../mapper_refcocog_umd.py', '../_base_/models/published_behaviour.py']
model = _base_.published_behaviour
train_dataloader = dict(drop_last=True)
