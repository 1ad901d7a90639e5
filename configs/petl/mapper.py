# MaPPER: LoCA, DyPA and PGT.
_base_ = '../_base_/petl_bench.py'
