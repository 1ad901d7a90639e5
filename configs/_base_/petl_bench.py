# Shared settings of configs/petl/ and the ablations of MaPPER: the embedded default, but with
# weather that the encoders have never seen.
_base_ = '../mapper_shapes.py'
# A separate schedule, so that runs stay comparable if the default schedule changes.
max_epochs = 2
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=max_epochs)]
weather = dict(
    data_root='data/shapes_ref_weather', weather=('fog', 'dusk', 'rain', 'snow', 'out-of-focus')
)
train_dataloader = dict(dataset=weather)
val_dataloader = dict(dataset=weather)
test_dataloader = val_dataloader
