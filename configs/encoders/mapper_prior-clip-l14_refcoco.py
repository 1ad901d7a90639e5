# The text side of CLIP ViT-L/14 as the prior: 768 numbers a token in place of 512.
_base_ = '../mapper_refcoco.py'
model = dict(
    language_model=dict(
        prior=dict(
            arch=dict(
                _delete_=True,
                hidden_size=768,
                num_attention_heads=12,
                intermediate_size=3072,
                projection_dim=768,
            ),
            pretrained='./pretrained/clip-vit-large-patch14',
        )
    )
)
