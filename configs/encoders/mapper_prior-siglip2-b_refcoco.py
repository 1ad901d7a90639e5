# The text side of SigLIP 2 as the prior. Its release is of the model_type of SigLIP.
_base_ = '../mapper_refcoco.py'
model = dict(
    language_model=dict(
        prior=dict(
            _delete_=True,
            type='TransformersTextPrior',
            arch=dict(model_type='siglip_text_model', vocab_size=256000),
            pretrained='./pretrained/siglip2-base-patch16-224',
        )
    )
)
