"""Registries: entries are lazy, and a package that is broken stops nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from evomerge.errors import ConfigError
from evomerge.plugins import Deferred, Registry, settings
from evomerge.value import Value, parse
from tests.plugins.installed import offer

GROUP = "evomerge.test_role"


class HillConfig(Value):
    """Goes uphill."""

    kind: Literal["hill"] = "hill"
    step: Annotated[float, Field(gt=0)] = 0.1


class Hill:
    config = HillConfig

    def __init__(self, config: HillConfig, problem: str) -> None:
        self.step, self.problem = config.step, problem


LATER = Deferred(HillConfig, f"{__name__}:Hill")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are found in."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, package: str, text: str, **entries: str) -> None:
    """A package of one module, and what it offers."""
    offer(site, package, text, {GROUP: entries})


PLUGIN = """
from typing import Literal
from evomerge.value import Value
class ClimbConfig(Value):
    "Climbs."
    kind: Literal["climb"] = "climb"
    rope: int = 3
class Climb:
    config = ClimbConfig
    def __init__(self, config, problem):
        self.rope = config.rope
"""


def registry(default: str | None = None) -> Registry[Any]:
    built_in = {"hill": f"{__name__}:Hill", "later": f"{__name__}:LATER"}
    return Registry("optimizer", GROUP, built_in, default)


def test_a_name_or_a_mapping_becomes_the_entrys_own_settings() -> None:
    assert registry().config("hill") == HillConfig()
    assert registry().config({"kind": "hill", "step": 2}) == HillConfig(step=2)
    assert registry("hill").config({"step": 2}) == HillConfig(step=2)
    assert registry().config(HillConfig(step=3)) == HillConfig(step=3)


def test_settings_make_the_thing() -> None:
    made = registry().make(HillConfig(step=2), "problem")
    assert (made.step, made.problem) == (2, "problem")
    assert isinstance(LATER(HillConfig(), "problem"), Hill)


def test_another_packages_entry_is_like_a_built_in_one(site: Path) -> None:
    install(site, "climbing", PLUGIN, climb="Climb")
    found = registry()
    assert found.names() == {"climb": "Climbs.", "hill": "Goes uphill.", "later": "Goes uphill."}
    assert found.make(found.config({"kind": "climb", "rope": 5}), None).rope == 5
    with pytest.raises(ConfigError, match=r"^j\.yaml: unknown key 'optimizer.rop'.*'rope'"):
        found.config({"kind": "climb", "rop": 5}, origin="j.yaml", key="optimizer")


def test_a_broken_package_is_a_row_and_one_sentence(site: Path) -> None:
    install(site, "climbing", PLUGIN, climb="Climb")
    install(site, "falling", "1 / 0", fall="Fall")
    found = registry()
    assert found.names()["fall"].startswith("broken: optimizer 'fall' of the package falling")
    assert found.names()["climb"] == "Climbs."
    assert list(found.usable()) == ["climb", "hill", "later"]
    with pytest.raises(
        ConfigError, match=r"package falling cannot be loaded \(falling:Fall\): div"
    ):
        found.get("fall")


def test_a_module_without_what_it_offers_is_broken(site: Path) -> None:
    install(site, "falling", "", fall="Fall")
    with pytest.raises(ConfigError, match="has no attribute 'Fall'"):
        registry().get("fall")


def test_a_name_of_ours_stays_ours(site: Path) -> None:
    install(site, "climbing", PLUGIN, hill="Climb")
    found = registry()
    assert found.get("hill") is Hill
    assert "one of evomerge's own" in found.names()["hill (climbing)"]


def test_a_name_that_two_packages_offer_is_neithers(site: Path) -> None:
    install(site, "climbing", PLUGIN, climb="Climb")
    install(site, "clambering", PLUGIN, climb="Climb")
    with pytest.raises(ConfigError, match="offered twice, by clambering and climbing"):
        registry().get("climb")
    assert registry().known == ["hill", "later"]


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^unknown optimizer 'hil'; did you mean 'hill'\?"):
        registry().get("hil")


class Job(Value):
    name: str
    optimizer: Annotated[Value, settings(registry(), "optimizer")]


def test_a_field_holds_settings_and_is_written_out_whole() -> None:
    job = parse(Job, {"name": "a", "optimizer": {"kind": "hill", "step": 2}}, origin="j.yaml")
    assert job.optimizer == HillConfig(step=2)
    assert parse(Job, job.model_dump(mode="json"), origin="again") == job
    described = Job.model_json_schema()["properties"]["optimizer"]["oneOf"]
    assert described[0]["properties"]["step"]["exclusiveMinimum"] == 0
    assert {"type": "string", "enum": ["hill", "later"]} in described


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        ({"kind": "hill", "step": -1}, "j.yaml: optimizer.step: must be above 0"),
        ({"kind": "hill", "stp": 1}, "j.yaml: unknown key 'optimizer.stp'; did you mean 'step'?"),
        ({"kind": "hull"}, "j.yaml: optimizer: unknown optimizer 'hull'; did you mean 'hill'?"),
        ({}, "j.yaml: optimizer: name the optimizer as 'kind'; known: hill, later"),
        (3, "j.yaml: optimizer: name the optimizer as 'kind'; known: hill, later"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_as_of_any_other(optimizer: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Job, {"name": "a", "optimizer": optimizer}, origin="j.yaml")
    assert str(caught.value).startswith(sentence)


def test_what_is_no_factory_is_broken(site: Path) -> None:
    install(site, "walking", "def walk(config, problem): pass", walk="walk")
    with pytest.raises(ConfigError, match=r"walking:walk\): it has no class of settings as its"):
        registry().config("walk")


def test_a_module_that_leaves_the_process_is_broken(site: Path) -> None:
    install(site, "leaving", "raise SystemExit('bye')", leave="Leave")
    assert registry().names()["leave"].endswith("(leaving:Leave): bye")


def test_what_fails_in_another_package_is_one_sentence_and_in_ours_a_fault(site: Path) -> None:
    install(site, "stumbling", PLUGIN + "        self.top = 1 / 0", climb="Climb")
    found = registry()
    with pytest.raises(ConfigError, match=r"package stumbling cannot be made .*: div"):
        found.make(found.config("climb"), None)
    with pytest.raises(TypeError):
        found.make(HillConfig())
