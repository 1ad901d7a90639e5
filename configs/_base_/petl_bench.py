# What the methods in configs/petl/ have in common: the embedded default, but in weather that the
# encoders have never seen.
_base_ = '../mapper_shapes.py'
dataset = dict(
    data_root='data/shapes_ref_weather', weather=('fog', 'dusk', 'rain', 'snow', 'out-of-focus'))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
