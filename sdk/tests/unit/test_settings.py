"""Settings: read once from the environment, strangers refused, secrets hidden."""

import pytest
from pydantic import Field, ValidationError

from twinmesh_sdk.runtime.settings import DatabaseSettings, TwinSettings


class Own(TwinSettings):
    """As a service writes it."""

    baseline_s: float = Field(default=60.0, gt=0, description="seconds of baseline")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setenv("TWIN_OIDC_ISSUER", "http://issuer")


def test_a_service_adds_its_own(monkeypatch):
    monkeypatch.setenv("TWIN_BASELINE_S", "5")

    assert Own().baseline_s == 5.0
    assert Own().oidc_issuer == "http://issuer"


@pytest.mark.parametrize("name", ["TWIN_HTP_PORT", "TWIN_BASELINE_S"])
def test_a_misspelt_variable_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv(name, "1")

    with pytest.raises(ValidationError, match=name):
        TwinSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("TWIN_HTTP_PORT", "70000"), ("TWIN_LOG_LEVEL", "LOUD"), ("TWIN_CALL_TIMEOUT_S", "0")],
)
def test_a_value_out_of_range_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError):
        TwinSettings()


def test_the_issuer_has_no_default(monkeypatch):
    monkeypatch.delenv("TWIN_OIDC_ISSUER")

    with pytest.raises(ValidationError, match="oidc_issuer"):
        TwinSettings()


def test_a_secret_does_not_print(monkeypatch):
    monkeypatch.setenv("TWIN_DATABASE_URL", "postgresql+asyncpg://u:hunter2@h/d")
    monkeypatch.setenv("TWIN_NATS_PASSWORD", "hunter3")

    assert "hunter" not in repr(DatabaseSettings())


@pytest.mark.parametrize("field", [*DatabaseSettings.model_fields.items()], ids=lambda f: f[0])
def test_every_knob_says_what_it_is(field):
    name, info = field

    assert info.description, name
