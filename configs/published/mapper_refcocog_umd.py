# RefCOCOg (UMD splits) as the published code computes it; runs its checkpoints with 40 tokens once
# tools/model_converters/published2mm.py has converted them. Augmentation is this project's.
_base_ = ['../mapper_refcocog_umd.py', '../_base_/models/published_behaviour.py']
model = _base_.published_behaviour
train_dataloader = dict(drop_last=True)
