# RefCOCO as the published code computes it; runs its checkpoints with 20 tokens once
# tools/model_converters/published2mm.py has converted them. Augmentation is this project's.
_base_ = ['../mapper_refcoco.py', '../_base_/models/published_behaviour.py']
model = _base_.published_behaviour
# Published training leaves out the last, smaller batch of an epoch.
train_dataloader = dict(drop_last=True)
