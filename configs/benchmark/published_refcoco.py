# The baseline of speed: RefCOCO's recipe, computed the way the published code does. For
# tools/analysis_tools/benchmark.py; a training with it learns the same, later.
_base_ = ['../published/mapper_refcoco.py']
model = dict(type='PublishedComputing')
