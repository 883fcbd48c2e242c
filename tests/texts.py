"""Texts for people and their catalogues: `python tests/texts.py` brings `router/locale` in line with the code.

Found are, beside what `N_` marks: every sentence of the modules of REASONS, where holds, failures, waits and alarms are
worded, and what the calls of SHOWN and RAISED are given. A text with values in it becomes a template, an f-string's
`{one.exam}` the place `{exam}`. A new text gets an empty `msgstr` in zh_CN/LC_MESSAGES/router.po: fill it, then run the
program again, which compiles both catalogues. The English catalogue has only keys that are said in other words.
"""

import ast
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from router.text.language import LANGUAGES, LOCALE

PACKAGE = LOCALE.parent
REASONS = (
    "loop.py", "refusals.py", "admin/checks/destinations.py", "admin/checks/host.py", "admin/notify/alarm_trial.py",
    "admin/notify/ways.py", "admin/people/*.py", "admin/status/finder.py", "admin/status/node_status.py",
    "admin/status/vitals.py",
    "catalogue/db/*.py", "catalogue/exams/*.py", "catalogue/images/*.py", "catalogue/node/*.py",
    "catalogue/queue/*.py", "cli/audit.py", "cli/backup.py", "cli/classify.py", "cli/codes.py", "cli/doctor.py",
    "cli/keys.py", "cli/mending.py", "cli/options.py", "cli/pins.py", "cli/profile.py", "cli/quarantine.py",
    "cli/trail.py", "cli/users.py", "cli/validate.py", "cli/verify.py",
    "cli/queue/backfill.py", "cli/queue/background.py", "cli/queue/compare.py",
    "cli/queue/corrected.py", "cli/queue/decide.py", "cli/queue/files.py", "cli/queue/many.py",
    "cli/queue/nodes.py", "cli/queue/pause.py", "cli/queue/recheck.py", "cli/queue/reconcile.py",
    "cli/queue/refused.py", "cli/queue/remote.py", "cli/queue/rename.py", "cli/queue/report.py",
    "cli/queue/sources.py", "cli/queue/statistics.py", "cli/queue/unreported.py", "cli/queue/withdraw.py",
    "cluster/*.py",
    "correlator/*.py", "crypto/certificates.py", "crypto/keys.py", "crypto/pkcs8.py", "crypto/ring.py",
    "crypto/sm2_certificates.py", "crypto/spki.py",
    "delivery/*.py", "dicom/dataset/cut.py", "dicom/dataset/dataset.py", "dicom/dataset/encapsulated.py",
    "dicom/dataset/facts.py", "dicom/dataset/header.py", "dicom/dataset/part10.py", "dicom/dataset/sameness.py",
    "dicom/dataset/uid.py", "dicom/preview/*.py", "dicom/scp/acceptor.py", "dicom/scp/admission.py",
    "dicom/scp/negotiation.py",
    "dicom/scp/store.py", "dicom/scp/whole.py", "dicom/scu/client.py", "dicom/scu/commitment.py",
    "dicom/scu/finder.py", "dicom/scu/requestor.py", "dicom/scu/associations.py", "dicom/scu/batch.py",
    "dicom/scu/session.py",
    "dicom/scu/store.py", "dicom/scu/transcode.py", "dicom/dataset/decoders.py", "dicom/ul/connection.py",
    "dicom/ul/pdu.py", "dicom/ul/proxy.py", "dicom/ul/socket.py", "dicom/ul/status.py", "dicom/ul/tls.py",
    "exam/*.py", "forward/*.py", "forward/blocks/ciphers.py", "forward/blocks/codes.py",
    "forward/blocks/message.py", "forward/guard/*.py",
    "images/*.py", "intake/*.py", "matching/exam/*.py", "matching/images/*.py",
    "matching/patient/*.py", "matching/report_pdf/*.py", "policy/account.py", "policy/answer.py",
    "policy/attention.py", "policy/completeness.py",
    "policy/breaker.py", "policy/deadlines.py", "policy/folding.py", "policy/pause.py", "policy/states.py",
    "reports/folder/*.py", "reports/hl7/*.py", "reports/pdf/*.py", "review/*.py", "series/select.py",
    "storage/lock.py", "storage/pins.py", "storage/trail.py", "text/spelling.py", "upkeep/*.py",
)  # fmt: skip
# Calls, and which of their arguments people read.
SHOWN: dict[str, tuple[int | str, ...]] = {
    "show": (0, 1),
    "print": (0,),
    "Event": (2, "text", "subject"),
    "record_settings": (2,),
    "CheckResult": (0, 2, 3),
    "good": (0, 1),
    "echo": (0,),
    "confirm": (0,),
    "UsageError": (0,),
}
PAGE_CALLS = ("say", "N_", "button", "note", "said")  # in templates
# Tables and words of the node's own of which each is shown.
TABLES = ("REMEDY",)
NAMES = ("Alarm",)  # said in a context of their own: `disk` is an alarm, and what it is about
WORDS = (
    "State", "Needs", "Channel", "Kind", "Age", "Fate", "SeriesClass", "Verdict", "Position", "Actor", "Punctuality",
    "Why", "FileKind", "HeldBy", "Right", "Completeness", "Whose",
)  # fmt: skip
# Nobody but a developer meets what these say.
_INTERNAL = re.compile(r"(\w*_log|logging|re|click)\..*|ValueError|TypeError|RuntimeError|getattr|statement|Field")
_PEOPLE = (
    "admin/", "node/", "cli/status.py", "cli/status_all.py", "cli/doctor.py",
    "cli/queue/queue.py", "cli/queue/story.py", "cli/queue/background.py", "cli/queue/evidence.py",
    "cli/queue/pause.py", "cli/queue/refused.py", "cli/queue/unreported.py", "cli/queue/files.py",
)  # fmt: skip
RAISED = (
    "TransientError", "DestinationDown", "UnprovedRefusal", "PermanentError", "IntegrityError", "Damaged", "Unproven",
    "CutOff",
)  # fmt: skip
_SENTENCE = re.compile(r"[A-Za-z]{2,}\S* .*[a-z]{2,}|[a-z]{2,}: $|^[a-z]{3,} (?=$|\{)|[a-z]{2,} [a-z]", re.DOTALL)
_SQL = re.compile(
    r"\b(SELECT|UPDATE|INSERT|DELETE FROM|CREATE|DROP|ALTER|WHERE|CAST|TEXT|INTEGER|AND|LIKE|IN|PRAGMA|RETURNING) |"
    r"= \?|\w=\{|^\('|state = '|\(CASE |Content-|Bearer |CAST\(|^-----|^\s*import |^[A-Z]\w+\(\{|"
    r"(PRIMARY|FOREIGN) KEY|excluded\.|ORDER BY |^\"[a-z_]+\" (INTEGER|TEXT|\{)|^s\.uid|^\^<\?|"
    r"^(scripts/|systemctl |chown |jq |openssl )\S[^;]*$"
)
_LETTERS = re.compile("[A-Z][a-z]|[a-z]{3}")
_FEWEST = 3  # letters of its own in a text that has values
CONTEXT = "\4"  # between a context and its text, as gettext has it
_TITLE = "Texts of the imaging cloud router"
_HEADERS = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Language", "Plural-Forms")


class _Lean(Catalog):
    """A catalogue whose head says nothing that changes from day to day, or with the version of Babel."""

    def _get_mime_headers(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in super()._get_mime_headers() if name in _HEADERS]

    mime_headers = property(_get_mime_headers, Catalog._set_mime_headers)


class Reader:
    """Reads the texts of one module."""

    def __init__(self, source: str, place: str) -> None:
        self._nodes = list(ast.walk(ast.parse(source)))
        self._place = place
        self._reasons = any(Path(place).match(pattern) for pattern in REASONS)
        self._values = _assignments(self._nodes)

    def texts(self) -> Iterator[tuple[int, str]]:
        """Line and text, behind its context where it has one; a text may be found more than once."""
        for node in self._nodes:
            if isinstance(node, ast.Call):
                yield from self._of_call(node)
            elif isinstance(node, ast.ClassDef) and node.name in WORDS + NAMES:
                context = f"{node.name.lower()}{CONTEXT}" if node.name in NAMES else ""
                for value in (each.value for each in node.body if isinstance(each, ast.Assign)):
                    yield from ((line, context + text) for line, text in self._every(value))
            elif isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
                names = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                if any(isinstance(name, ast.Name) and name.id in TABLES for name in names):
                    yield from self._every(node.value)
        if self._reasons:
            yield from self._sentences()

    def _of_call(self, call: ast.Call) -> Iterator[tuple[int, str]]:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        if name in ("N_", "say") and call.args:
            yield from self._every(call.args[0])
        places: tuple[int | str, ...] = ()
        if name == "Event" or self._reasons or self._place.startswith(_PEOPLE):
            places = SHOWN.get(name, ())
        if name in RAISED:
            places = (0, "hint")
        for key in places:
            named = [keyword.value for keyword in call.keywords if keyword.arg == key]
            for each in call.args[key : key + 1] if isinstance(key, int) else named:
                yield from self._shown(each)

    def _shown(self, node: ast.expr, seen: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
        """The texts that an expression may have: of a name, those that are assigned to it in this module."""
        if isinstance(node, ast.Name) and node.id not in seen:
            for value in self._values.get(node.id, ()):
                yield from self._shown(value, seen | {node.id})
        elif isinstance(node, ast.IfExp | ast.BoolOp | ast.Tuple | ast.List):
            for arm in _arms(node):
                yield from self._shown(arm, seen)
        elif (text := template(node)) is not None:
            yield from _worded(node, text)
            for arm in _within(node):
                yield from self._shown(arm, seen)

    def _every(self, node: ast.expr) -> Iterator[tuple[int, str]]:
        """All texts in an expression but the keys of tables."""
        if (text := template(node)) is not None:
            yield from _worded(node, text, fewest=1)
            return
        inner: Iterable[ast.AST] = node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node)
        for each in inner:
            if isinstance(each, ast.expr | ast.keyword):
                yield from self._every(each.value if isinstance(each, ast.keyword) else each)

    def _sentences(self) -> Iterator[tuple[int, str]]:
        """Every text of two words or more that is no comment, no statement for the database and not for the log."""
        passed = {id(part) for node in self._nodes for part in _internal(node)}
        for node in self._nodes:
            if id(node) in passed or not isinstance(node, ast.expr):
                continue
            text = template(node)
            if text is None:
                continue
            passed |= {id(part) for part in ast.walk(node)} - {id(p) for arm in _within(node) for p in ast.walk(arm)}
            if _SENTENCE.search(text) and not _SQL.search(text):
                yield from _worded(node, text)


def template(node: ast.AST) -> str | None:
    """A text as the catalogues have it; None of what is no text.

    Values get names: `{one.exam}` is `exam`, `{", ".join(differs)}` is `differs`, `{len(held)}` is `held`.
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr) and not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
        return None
    parts = list(_parts(node))
    if not any(isinstance(part, str) for part in parts):
        return None
    names: list[str] = []
    for part in parts:
        if not isinstance(part, str):
            names.append(_free(_name(part), names))
    given = iter(names)
    return "".join(
        part.replace("{", "{{").replace("}", "}}") if isinstance(part, str) else f"{{{next(given)}}}" for part in parts
    )


def _parts(node: ast.AST) -> Iterator[str | ast.expr]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for each in node.values:
            yield from _parts(each.value if isinstance(each, ast.FormattedValue) else each)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _parts(node.left)
        yield from _parts(node.right)
    elif isinstance(node, ast.expr):
        yield node


def _name(node: ast.expr) -> str:
    """A name for a value: the last one that is read there."""
    if isinstance(node, ast.Name):
        return node.id.strip("_").lower()
    if isinstance(node, ast.Attribute):
        return node.attr.strip("_").lower()
    if isinstance(node, ast.Call):
        return _name(node.args[0] if node.args else node.func)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _name(node.generators[0].iter)
    inner = [node.test] if isinstance(node, ast.IfExp) else list(ast.iter_child_nodes(node))
    return next((_name(each) for each in inner if isinstance(each, ast.expr)), "value")


def _free(name: str, taken: list[str]) -> str:
    number = 1 + sum(each.rstrip("0123456789") == name for each in taken)
    return name if number == 1 else f"{name}{number}"


def _arms(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return node.values
    return node.elts if isinstance(node, ast.Tuple | ast.List) else []


def _within(node: ast.expr) -> Iterator[ast.expr]:
    """Expressions that are chosen between at a place of a text: texts of their own."""
    for part in _parts(node):
        if isinstance(part, ast.IfExp | ast.BoolOp):
            yield from _arms(part)


def _worded(node: ast.expr, text: str, fewest: int = 0) -> Iterator[tuple[int, str]]:
    """The text where it has letters of its own, without blanks at its ends; a sentence without the mark before it."""
    bare = text.strip(" \n") if fewest else text.strip(" \n").removeprefix("; ").removeprefix(", ")
    least = fewest or (2 if own(bare) == bare else _FEWEST)
    if sum(c.isascii() and c.isalpha() for c in own(bare)) >= least:
        yield node.lineno, bare


def own(text: str) -> str:
    """The text without the places for its values."""
    return re.sub(r"\{\w*\}", "", text)


def _internal(node: ast.AST) -> Iterator[ast.AST]:
    """What of a module is no text for people: documentation, the log, annotations, what is looked up by name."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Call) and _INTERNAL.fullmatch(ast.unparse(node.func)):
        yield from ast.walk(node)
    elif isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
        yield from ast.walk(node.annotation)
    elif isinstance(node, ast.FunctionDef) and node.returns is not None:
        yield from ast.walk(node.returns)
    elif isinstance(node, ast.Compare | ast.Subscript):
        yield from (part for part in ast.walk(node) if isinstance(part, ast.Constant))


def _assignments(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """What is assigned to each name of a module, in whatever function."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            targets = [node.target]
        value = getattr(node, "value", None)
        for target in targets:
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.IfExp):
                arms = [arm for arm in _arms(value) if isinstance(arm, ast.Tuple)]
                pairs = [pair for arm in arms for pair in zip(target.elts, arm.elts, strict=False)]
            for name, each in pairs:
                if isinstance(name, ast.Name) and isinstance(each, ast.expr):
                    found.setdefault(name.id, []).append(each)
    return found


def extract(
    file: IO[bytes], _keywords: object, _comments: object, options: object
) -> Iterator[tuple[int, str, tuple[str, ...], list[str]]]:
    """Babel's way to ask for the texts of a module."""
    place = Path(file.name).relative_to(PACKAGE).as_posix()
    for line, text in Reader(file.read().decode(), place).texts():
        named = tuple(text.split(CONTEXT))
        yield line, "pgettext" if len(named) > 1 else "gettext", named, []


def extract_page(
    file: IO[bytes], _keywords: object, _comments: object, options: object
) -> Iterator[tuple[int, str, tuple[str, ...], list[str]]]:
    """The same of a template: every text in a call of PAGE_CALLS."""
    for call in Environment().parse(file.read().decode()).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in PAGE_CALLS:
            for text in (each.value for each in call.find_all(nodes.Const)):
                if isinstance(text, str) and _LETTERS.search(text):
                    yield call.lineno, "gettext", (text,), []


@functools.cache
def extracted() -> Catalog:
    """Every text of the code, with the modules that have it."""
    catalogue = Catalog()
    method: list[tuple[str, Any]] = [("**.py", extract), ("**.html", extract_page)]
    keywords = {"gettext": None, "pgettext": ((1, "c"), 2)}
    for name, _, text, _, context in extract_from_dir(PACKAGE, method, keywords=keywords):
        catalogue.add(text[-1] if isinstance(text, tuple) else text, locations=[(f"router/{name}", 0)], context=context)
    return catalogue


def kept(language: str) -> Catalog:
    """The catalogue of a language as it is in the repository."""
    with (LOCALE / language / "LC_MESSAGES" / "router.po").open("rb") as file:
        return read_po(file, locale=language)


def renewed(language: str) -> Catalog:
    """The catalogue of a language with exactly the texts of the code; the English one with those said otherwise."""
    catalogue, before = extracted(), kept(language)
    fresh = _Lean(locale=language, header_comment=f"# {_TITLE}: {LANGUAGES[language]}", fuzzy=False)
    for message in sorted(catalogue, key=lambda each: (str(each.id), each.context or "")):
        known = before.get(message.id, message.context) if message.id else None
        said = str(known.string) if known is not None else ""
        if message.id and (said or language != "en"):
            places = sorted(set(message.locations))
            fresh.add(message.id, said, locations=places, context=message.context)
    return fresh


def written(catalogue: Catalog) -> tuple[bytes, bytes]:
    """A catalogue as text and compiled."""
    text, compiled = BytesIO(), BytesIO()
    write_po(text, catalogue, width=120, include_lineno=False, ignore_obsolete=True)
    write_mo(compiled, catalogue)
    return text.getvalue(), compiled.getvalue()


def update(tell: Callable[[str], object]) -> int:
    """Write all catalogues; 1 when a text lacks its translation."""
    lacking = []
    for language in LANGUAGES:
        catalogue = renewed(language)
        folder = LOCALE / language / "LC_MESSAGES"
        for ending, data in zip(("po", "mo"), written(catalogue), strict=True):
            (folder / f"router.{ending}").write_bytes(data)
        lacking += [f"{language}: {message.id}" for message in catalogue if message.id and not message.string]
    for line in lacking:
        tell(f"{line}\n")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(update(sys.stdout.write))
