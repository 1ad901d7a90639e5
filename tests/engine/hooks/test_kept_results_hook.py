from mapper_mm.engine.hooks import KeptResultsHook


def test_splits_that_are_done_stay_whatever_follows():
    hook = KeptResultsHook()
    hook.after_test_split(None, metrics={'val/acc': 0.5})
    hook.after_test_split(None, metrics={'testA/acc': 0.25})
    assert hook.metrics == {'val/acc': 0.5, 'testA/acc': 0.25}


def test_all_of_a_test_of_one_split_are_kept():
    hook = KeptResultsHook()
    hook.after_test_epoch(None)
    assert hook.metrics == {}
    hook.after_test_epoch(None, metrics={'acc': 0.5})
    assert hook.metrics == {'acc': 0.5}
