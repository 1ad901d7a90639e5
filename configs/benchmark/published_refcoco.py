# The baseline of tools/analysis_tools/benchmark.py: RefCOCO's recipe, computed like the published
# code. Training gives the same result but is slower.
_base_ = ['../published/mapper_refcoco.py']
model = dict(type='PublishedComputing')
