import logging

from mmengine.logging import MMLogger

from mapper_mm.utils.log import warn


def test_a_warning_goes_to_the_log_in_use(caplog, monkeypatch):
    logger = MMLogger.get_instance('test_log')
    monkeypatch.setattr(MMLogger, 'get_current_instance', classmethod(lambda _: logger))
    logger.addHandler(caplog.handler)
    warn('something is odd')
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, 'something is odd')
