"""`sbom`: what this installation is made of, as CycloneDX 1.5."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

import click

from router import __version__
from router.cli.options import print_json

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OWN = "imaging-cloud-router"


@click.command("sbom")
def command() -> None:
    """A software bill of materials (CycloneDX 1.5, JSON): every installed package that the node needs or can use."""
    print_json(bill())


def bill() -> dict[str, Any]:
    """The document, without anything that differs from one run to the next."""
    found = reachable(_OWN)
    own = found.pop(_OWN, None)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": _OWN, "version": __version__, "bom-ref": _OWN,
                                   "licenses": [{"license": {"id": "MIT"}}]}},
        "components": [_component(name, found[name]) for name in sorted(found)],
        "dependencies": [
            {"ref": name, "dependsOn": sorted(set(_needs(one)) & found.keys())}
            for name, one in sorted({**found, **({_OWN: own} if own else {})}.items())
        ],
    }  # fmt: skip


def reachable(start: str) -> dict[str, Distribution]:
    """Every installed distribution that is needed, directly or not, also by extras; by its normal name (PEP 503)."""
    found: dict[str, Distribution] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += _needs(found[name])
    return found


def _needs(one: Distribution) -> Iterator[str]:
    """Its requirements, of optional ones only our own, and not what only tests need."""
    optional = one.metadata["Name"] == _OWN
    for requirement in one.requires or ():
        wanted = "extra ==" not in requirement or (optional and not re.search(r"extra == .test", requirement))
        if wanted and (match := _NAME.match(requirement)):
            yield re.sub(r"[-_.]+", "-", match[0]).lower()


def _component(name: str, one: Distribution) -> dict[str, Any]:
    meta = one.metadata
    given = [meta[key] for key in ("License-Expression", "License") if key in meta]
    licence = next(filter(None, given), "") or _classified(meta.get_all("Classifier") or [])
    component = {"type": "library", "bom-ref": name, "name": name, "version": one.version,
                 "purl": f"pkg:pypi/{name}@{one.version}"}  # fmt: skip
    return component | ({"licenses": [{"license": {"name": licence.splitlines()[0][:200]}}]} if licence else {})


def _classified(classifiers: list[str]) -> str:
    return ", ".join(each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::"))
