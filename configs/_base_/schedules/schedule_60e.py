# For datasets larger than the paper's: two thirds of the epochs.
_base_ = './schedule_90e.py'
train_cfg = dict(max_epochs=60)
param_scheduler = [dict(_base_.param_scheduler[0], milestones=[40])]
