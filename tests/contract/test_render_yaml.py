"""The example's render.yaml: keys that Render has, names that exist, settings that the edge reads.

Render's own schema (https://render.com/schema/render.yaml.json) is not at hand where tests run. The
keys here are those of its reference page, as far as the example needs them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from slipway import config
from tests.contract.markdown import ROOT, tables

EXAMPLE = ROOT / "examples/livestreamsell"
BLUEPRINT: dict[str, Any] = yaml.safe_load((EXAMPLE / "render.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = {one["name"]: one for one in BLUEPRINT["services"]}
GROUPS: dict[str, dict[str, Any]] = {one["name"]: one for one in BLUEPRINT["envVarGroups"]}
SETTINGS = config.load(EXAMPLE / "slipway.yml").services

KEYS = {
    "type": str,
    "name": str,
    "runtime": str,
    "image": dict,
    "rootDir": str,
    "buildCommand": str,
    "startCommand": str,
    "plan": str,
    "region": str,
    "numInstances": int,
    "scaling": dict,
    "healthCheckPath": str,
    "maxShutdownDelaySeconds": int,
    "autoDeployTrigger": str,
    "envVars": list,
}
SOURCES = ("value", "sync", "fromService", "fromGroup")
UNREACHABLE = {"10000", "18012", "18013", "19099"}
"""Ports that Render's private network does not carry."""

each = pytest.mark.parametrize("name", SERVICES)


def variables(name: str) -> dict[str, dict[str, Any]]:
    """Return the variables of a service, those of its groups among them."""
    found: dict[str, dict[str, Any]] = {}
    for one in SERVICES[name].get("envVars", []):
        for inner in GROUPS[one["fromGroup"]]["envVars"] if "fromGroup" in one else [one]:
            assert inner["key"] not in found, f"{inner['key']} is set twice"
            found[inner["key"]] = inner
    return found


@each
def test_a_service_has_only_keys_that_render_knows(name: str) -> None:
    service = SERVICES[name]

    assert set(BLUEPRINT) == {"services", "envVarGroups"}
    for key, value in service.items():
        # YAML 1.1 reads a bare `off` as false, which Render does not know.
        assert type(value) is KEYS[key], key
    assert set(service.get("image", {"url": ""})) == {"url"}
    scaling = {"minInstances", "maxInstances", "targetCPUPercent"}
    assert set(service.get("scaling", scaling)) == scaling
    assert ("scaling" in service) is not ("numInstances" in service)
    assert 1 <= service.get("maxShutdownDelaySeconds", 30) <= 300
    assert service.get("autoDeployTrigger", "off") == "off"
    assert service["region"] == SERVICES["edge"]["region"]


@each
def test_a_variable_has_one_source_and_names_what_is_there(name: str) -> None:
    for one in SERVICES[name].get("envVars", []):
        (source,) = [key for key in SOURCES if key in one]
        assert set(one) <= {"key", source}
        if source == "fromGroup":
            assert one["fromGroup"] in GROUPS
        if source == "fromService":
            other = one["fromService"]
            assert other["type"] == SERVICES[other["name"]]["type"]
            if "envVarKey" in other:
                assert other["envVarKey"] in variables(other["name"])
            else:
                assert other["property"] in ("host", "port", "hostport")
        assert one.get("sync", False) is False


def test_no_group_asks_for_a_secret_because_render_does_not() -> None:
    for group in GROUPS.values():
        assert all("value" in one for one in group["envVars"])


def test_no_secret_stands_in_the_file() -> None:
    for name in SERVICES:
        for key, one in variables(name).items():
            if re.search(r"TOKEN|SECRET|KEY|DATABASE_URL", key):
                assert "value" not in one, key


def test_every_service_of_slipway_yml_is_there_and_is_called_after_it() -> None:
    wanted = {"edge"} if any(service.edge for service in SETTINGS.values()) else set()
    for name, service in SETTINGS.items():
        for track in ("staging", "stable", "canary"):
            if getattr(service, track):
                wanted.add(f"{name}-{track}")

    assert set(SERVICES) == wanted


def test_production_keeps_the_promises_that_a_release_checks() -> None:
    for name, service in SETTINGS.items():
        stable = SERVICES[f"{name}-stable"]
        assert stable["scaling"]["minInstances"] >= service.promises.instances
        assert stable["healthCheckPath"] == service.health.path


def test_the_canary_is_like_stable_and_scales_only_when_a_release_says_so() -> None:
    stable, canary = SERVICES["bot-stable"], SERVICES["bot-canary"]
    differ = {"name", "scaling", "numInstances", "envVars"}

    assert {k: v for k, v in stable.items() if k not in differ} == {
        k: v for k, v in canary.items() if k not in differ
    }
    assert set(variables("bot-stable")) == set(variables("bot-canary"))
    assert canary["numInstances"] == 1


def test_staging_has_the_variables_of_production() -> None:
    assert set(variables("bot-staging")) == set(variables("bot-stable"))


def settings_of_the_edge() -> dict[str, str]:
    """Return the variables of edge/README.md with their defaults."""
    return {
        name: cells[1]
        for cells in tables(ROOT / "edge/README.md")["Settings", ""]
        for name in re.findall(r"`([A-Z_]+)`", cells[0])
    }


def test_the_edge_gets_every_setting_that_it_needs_and_none_that_it_does_not_know() -> None:
    known, given = settings_of_the_edge(), set(variables("edge"))

    assert {name for name, default in known.items() if default == "required"} <= given
    assert given - {"PORT"} <= set(known)  # PORT is Render's


def test_the_edge_has_several_instances_exactly_where_it_can_have_them() -> None:
    peers = "EDGE_PEERS" in settings_of_the_edge()

    assert (SERVICES["edge"]["numInstances"] > 1) is peers
    assert ("EDGE_PEERS" in variables("edge")) is peers


def test_the_edge_follows_the_flag_and_paths_of_slipway_yml() -> None:
    edge = variables("edge")
    bot = SETTINGS["bot"]

    assert bot.edge
    assert edge["RELEASE_FLAG"]["value"] == bot.edge.flag
    assert edge["HEALTH_PATH"]["value"] == bot.health.path
    assert SERVICES["edge"]["healthCheckPath"] == "/.slipway/healthz"


@pytest.mark.parametrize("name", ["edge", "bot-stable", "bot-canary"])
def test_what_the_private_network_has_to_reach_listens_where_it_can(name: str) -> None:
    port = variables(name)["PORT"]["value"]

    assert port not in UNREACHABLE
    bind = variables(name).get("EDGE_BIND", {"value": f"*:{port}"})
    assert bind["value"] == f"*:{port}"
