"""The migrations are one line, and the release knows its end."""

from importlib.resources import files

from alembic.config import Config
from alembic.script import ScriptDirectory

from governance.adapters.migration import HEAD


def test_the_migrations_are_one_line_that_ends_where_the_release_is():
    config = Config()
    config.set_main_option("script_location", str(files("governance") / "migrations"))

    revisions = list(ScriptDirectory.from_config(config).walk_revisions())

    assert [revision.revision for revision in revisions] == sorted(
        (revision.revision for revision in revisions), reverse=True
    )
    assert revisions[0].revision == HEAD
    names = [p.name for p in (files("governance") / "migrations" / "versions").iterdir()]
    assert len([n for n in names if n.endswith(".py")]) == len(revisions)
