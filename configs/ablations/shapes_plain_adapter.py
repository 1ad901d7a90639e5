# A plain bottleneck in place of LoCA's convolutions.
_base_ = '../mapper_shapes.py'
model = dict(
    backbone=dict(
        adapter=dict(
            _delete_=True, type='BottleneckAdapter', layers=(1, 3, 5), bottleneck=48, scale=0.2
        )
    )
)
