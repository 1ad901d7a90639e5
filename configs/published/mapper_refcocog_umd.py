# RefCOCOg (UMD split) as the published code computes it; runs its checkpoints with 40 tokens once
# tools/model_converters/published2mm.py has converted them.
_base_ = './mapper_refcoco.py'
model = dict(language_model=dict(max_tokens=40))
