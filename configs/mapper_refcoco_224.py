# 224 pixels: 256 patches instead of 1369, for small GPUs and quick comparisons.
_base_ = './mapper_refcoco.py'
canvas = 224
model = dict(backbone=dict(img_size=canvas))
# A patch less each time, as with 32 of 518 pixels about a sixteenth of the canvas.
letterbox = dict(size=canvas, long_sides=[canvas - 14 * i for i in range(7)])
train_pipeline = [
    dict(step, **letterbox) if step.type == 'Letterbox' else step for step in _base_.train_pipeline
]
test_pipeline = [
    dict(step, size=canvas) if step.type == 'Letterbox' else step for step in _base_.test_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
