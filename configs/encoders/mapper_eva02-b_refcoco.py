# EVA-02 ViT-B/14, as it was trained for 448 pixels: RoPE, SwiGLU.
_base_ = '../mapper_refcoco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmViT',
        model_name='eva02_base_patch14_448.mim_in22k_ft_in22k_in1k',
        img_size=448,
        pretrained='./pretrained/eva02_base_patch14_448.mim_in22k_ft_in22k_in1k/model.safetensors',
        # Its last norm stands behind pooling otherwise, and tokens would come without.
        use_fc_norm=False,
        # The last block of each third, and three eighths of the width.
        adapter=dict(type='LoCA', layers=(3, 7, 11), bottleneck=288, scale=0.2),
    )
)
