# 224 pixels: 256 patches instead of 1369, for small GPUs and quick comparisons.
_base_ = './mapper_refcoco.py'
model = dict(backbone=dict(img_size=224))
