# SigLIP 2 as all three: its image side, its text side as the language model, and once more, with
# what it was trained to share with pictures, as the prior.
_base_ = './mapper_siglip2-b_refcoco.py'
siglip2 = dict(
    arch=dict(_delete_=True, model_type='siglip_text_model', vocab_size=256000),
    pretrained='./pretrained/siglip2-base-patch16-224',
)
model = dict(
    language_model=dict(
        type='TransformersTextEncoder',
        prior=dict(type='TransformersTextPrior', **siglip2),
        **siglip2,
    )
)
