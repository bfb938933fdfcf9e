"""From one bundle to the next: prepared whole in a thread, applied between two requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from shared.bundles.files import Catalogue, TableChange
from shared.bundles.manifest import Manifest
from shared.errors import BundleRefused
from shared.model.dense import Dense
from shared.model.scorer import Scorer, check_graph, session
from shared.model.sides import FIELDS, Sides, field_side
from shared.model.tables import check_attributes, empty_tables
from shared.model.texts import Texts

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Contents:
    """One bundle's files, decoded and not yet checked against anything."""

    manifest: Manifest
    tables: dict[str, TableChange]
    dense: dict[str, F4] | None = None
    graph: bytes | None = None
    catalogues: Mapping[str, Catalogue] = field(default_factory=dict)
    """By SHA-256, in their order; those that the reader knows already left out."""


def whole(contents: Contents, texts: Texts | None = None) -> Scorer:
    """A full bundle as a scorer of its own.

    Args:
        contents: of the full bundle.
        texts: those already in memory, which ``contents.catalogues`` continue.

    Raises:
        BundleRefused: ``shapes``, ``non_finite`` or ``corrupt``; nothing of it may be served.
    """
    manifest = contents.manifest
    if contents.dense is None or contents.graph is None:
        raise BundleRefused("shapes", f"the full bundle {manifest.version} lacks its dense part or its graph")
    tables = empty_tables({name: size.capacity for name, size in manifest.tables.items()}, manifest.dim)
    texts = (texts or Texts.empty(manifest.text_dim)).joined_by(contents.catalogues)
    attributes = np.zeros((tables["item"].capacity, 3), np.int32)
    dense, graph = Dense.checked(contents.dense, manifest), session(contents.graph)
    check_graph(graph, dense, len(manifest.labels))
    empty = Scorer(manifest, tables, texts, dense, Sides({}, attributes), graph)
    _check_changes(contents, empty, texts)
    _write(contents, empty)
    return verified(replace(empty, sides=Sides.build(tables, attributes, texts.vectors, dense)))


def verified(scorer: Scorer) -> Scorer:
    """The same scorer, once its weights have the hash that the manifest gives.

    Raises:
        BundleRefused: ``corrupt``.
    """
    named = scorer.manifest.weights_sha256
    if named and named != (found := scorer.sha256()):
        version = scorer.manifest.version
        raise BundleRefused("corrupt", f"the weights of {version} hash to {found[:16]}…, its manifest says {named[:16]}…")
    return scorer


@dataclass(frozen=True, slots=True)
class Update:
    """A delta that has been checked whole, with everything computed that can be before it is applied."""

    scorer: Scorer
    contents: Contents
    texts: Texts
    dense: Dense
    sides: Sides
    after: Scorer
    changed: dict[str, tuple[I4, F4]]
    """By table of the item side: the rows that change, and their new sides."""

    @classmethod
    def prepare(cls, scorer: Scorer, contents: Contents) -> "Update":
        """Check and compute; changes nothing of the scorer, which may go on serving in another thread.

        Raises:
            BundleRefused: ``gap`` if the scorer is not the delta's parent; ``shapes``, ``non_finite`` or ``corrupt``.
        """
        manifest = contents.manifest
        _check_parent(scorer.manifest, manifest)
        texts = scorer.texts.joined_by(contents.catalogues)
        _check_changes(contents, scorer, texts)
        dense, graph, sides = scorer.dense, scorer.session, scorer.sides
        if contents.dense is not None:
            if contents.graph is None:
                raise BundleRefused("shapes", f"the bundle {manifest.version} moves the dense part without its graph")
            dense, graph = Dense.checked(contents.dense, manifest), session(contents.graph)
            check_graph(graph, dense, len(manifest.labels))
            sides = Sides.build(scorer.tables, sides.attributes, texts.vectors, dense)
        changed = {name: _changed(name, contents.tables[name], sides, texts, dense) for name in FIELDS if name in contents.tables}
        return cls(scorer, contents, texts, dense, sides, Scorer(manifest, scorer.tables, texts, dense, sides, graph), changed)

    def apply(self) -> Scorer:
        """The next scorer; the former one must not be asked any more. On the thread that scores, without anything between."""
        _write(self.contents, self.scorer)
        for name, (rows, sides) in self.changed.items():
            self.sides.rows[name][rows] = sides
        return self.after


def _check_parent(parent: Manifest, manifest: Manifest) -> None:
    if manifest.kind != "delta" or manifest.parent != parent.version:
        raise BundleRefused("gap", f"{manifest.version} ({manifest.kind}) follows {manifest.parent}, not {parent.version}")
    for name in ("task", "labels", "inputs", "dim", "hidden", "text_dim"):
        if getattr(manifest, name) != getattr(parent, name):
            raise BundleRefused("shapes", f"the delta {manifest.version} changes {name}, which only a full bundle may")
    if any(size.capacity != parent.tables[name].capacity for name, size in manifest.tables.items()):
        raise BundleRefused("shapes", f"the delta {manifest.version} changes a table's capacity, which only a full bundle may")


def _check_changes(contents: Contents, scorer: Scorer, texts: Texts) -> None:
    for name, change in contents.tables.items():
        if name not in scorer.tables:
            raise BundleRefused("shapes", f"the bundle {contents.manifest.version} changes an unknown table {name}")
        scorer.tables[name].check(name, change)
        if name == "item":
            check_attributes(change, scorer.tables, len(texts.vectors))


def _write(contents: Contents, scorer: Scorer) -> None:
    for name, change in contents.tables.items():
        scorer.tables[name].apply(change)
        if name == "item":
            scorer.sides.attributes[change.new_rows] = change.attributes


def _changed(name: str, change: TableChange, sides: Sides, texts: Texts, dense: Dense) -> tuple[I4, F4]:
    """The rows of this table that get another side, and those sides."""
    rows = np.union1d(change.rows, change.new_rows).astype(np.int32)
    values = np.zeros((len(rows), dense.dim + 1), np.float32)  # a new row without values starts at zero
    values[np.searchsorted(rows, change.rows)] = change.values
    text = sides.attributes[rows, 2] if name == "item" else np.zeros(len(rows), np.int32)
    if len(change.attributes):
        text[np.searchsorted(rows, change.new_rows)] = change.attributes[:, 2]
    return rows, field_side(name, values, texts.vectors[text], dense)
