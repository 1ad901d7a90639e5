# One LoCA for all of its layers, and one DyPA.
_base_ = '../petl/mapper.py'
model = dict(
    backbone=dict(adapter=dict(shared=True)), language_model=dict(adapter=dict(shared=True))
)
