# LoCA with its 1x1 convolution alone.
_base_ = '../petl/mapper.py'
model = dict(backbone=dict(adapter=dict(branches=[dict(kernel_size=1, share=1)])))
