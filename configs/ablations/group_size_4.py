# 4 expressions of a picture come together and see it augmented alike.
_base_ = '../petl/mapper.py'
train_dataloader = dict(sampler=dict(group_size=4))
