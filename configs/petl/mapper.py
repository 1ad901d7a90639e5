# MaPPER: LoCA, DyPA and PGT.
_base_ = '../mapper_shapes.py'
