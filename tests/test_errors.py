import inspect

import pytest

from mapper_mm import errors
from mapper_mm.cli.arguments import exit_on_user_error
from mapper_mm.errors import UserError

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.__name__)
def test_each_is_a_users_error_and_ends_a_program_in_its_message(kind):
    assert issubclass(kind, UserError)
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise kind('a.json: line 3 is empty.')
    assert stop.value.code == 'a.json: line 3 is empty.'


def test_each_is_also_what_python_would_raise():
    """Code that knows only Python's errors catches ours."""
    for kind in KINDS:
        assert kind is UserError or len(kind.__mro__) > len(UserError.__mro__) + 1, kind
