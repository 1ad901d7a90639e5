# MaPPER: LoCA, DyPA and PGT, 2.72 M parameters.
_base_ = '../../mapper_refcoco.py'
