# LoCA with a 5x5 convolution as a third branch.
_base_ = '../petl/mapper.py'
model = dict(
    backbone=dict(
        adapter=dict(
            branches=[
                dict(kernel_size=1, share=1 / 3),
                dict(kernel_size=3, share=1 / 3, squeeze=1 / 12),
                dict(kernel_size=5, share=1 / 3, squeeze=1 / 12),
            ]
        )
    )
)
