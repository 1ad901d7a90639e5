# The paper's schedule for RefCOCO+: twice as long.
_base_ = './schedule_90e.py'
train_cfg = dict(max_epochs=180)
param_scheduler = [dict(_base_.param_scheduler[0], milestones=[120])]
