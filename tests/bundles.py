"""Random bundles in the true format, for whoever reads bundles before there is an updater to make them.

publisher = Publisher(Storage(MemoryObjects(), "ranking"), a_key(), a_model())
publisher.full(); publisher.delta(); publisher.delta(dense=False, new_items=3)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from shared.bundles.files import (
    KNOTS,
    POOLING,
    TABLES,
    Catalogue,
    TableChange,
    catalogue_files,
    dense_shapes,
    encode_catalogue,
    encode_dense,
    encode_tables,
    weights_sha256,
)
from shared.bundles.manifest import File, Manifest, Pointer, TableSize, version
from shared.bundles.signing import sign
from shared.bundles.storage import Storage
from shared.keys import key, keys
from shared.messages import BundleAnnouncement, Inputs
from shared.model.graph import GraphTemplate
from shared.tasks import ModelSettings

INPUTS = Inputs(user=("user.views_1h", "user.spend"), candidate=("item.views_1h", "item.price", "pair.bought", "context.display"))
SMALL = ModelSettings(
    dim=4, hidden=(12, 6), text_dim=8,
    capacity={"user": 64, "item": 256, "category": 16, "brand": 16, "hour": 32, "weekday": 8},
)  # fmt: skip


def a_key(seed: int = 1) -> Ed25519PrivateKey:
    """The signing key of this number."""
    return Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))


@dataclass
class Model:
    """Everything that a bundle is made from; arrays hold the rows in use, row 0 the unknown."""

    settings: ModelSettings
    inputs: Inputs
    labels: tuple[str, ...]
    keys: dict[str, NDArray[np.uint64]]
    values: dict[str, NDArray[np.float32]]
    attributes: NDArray[np.int32]
    """(items, 3) rows of category, brand and text."""
    dense: dict[str, NDArray[np.float32]]
    catalogues: list[Catalogue]
    texts: int
    random: np.random.Generator

    def sha256(self) -> str:
        return weights_sha256({name: (self.keys[name], self.values[name]) for name in TABLES}, self.dense)


def a_model(
    seed: int = 0, users: int = 20, items: int = 60, settings: ModelSettings = SMALL, inputs: Inputs = INPUTS, labels: int = 1
) -> Model:
    """A random model of users u0, u1, ..., items i0, i1, ..., three categories and two brands; the last items have no text."""
    random = np.random.default_rng(seed)
    names = {
        "user": [f"u{n}" for n in range(users)],
        "item": [f"i{n}" for n in range(items)],
        "category": ["dairy", "bread", "tea"],
        "brand": ["own", "other"],
        "hour": [str(hour) for hour in range(24)],
        "weekday": [str(day) for day in range(7)],
    }
    width = settings.dim + 1
    table_keys = {name: np.concatenate([np.zeros(1, np.uint64), keys(names[name])]) for name in TABLES}
    values = {name: _random_values(random, len(table_keys[name]), width) for name in TABLES}
    for table in values.values():
        table[0] = 0
    dense = {
        name: random.normal(0, min(0.2, shape[-1] ** -0.5), shape).astype(np.float32)  # no wider, or every score is 0 or 1
        for name, shape in dense_shapes(inputs, labels, settings.dim, settings.hidden, settings.text_dim, settings.bins).items()
        if name != POOLING
    }
    dense[POOLING] = (0.3 * np.eye(settings.dim)).astype(np.float32)  # small, and not drawn: the other weights stay as they were
    dense["scale"] = np.abs(dense["scale"]) + np.float32(0.5)
    if KNOTS in dense:
        dense[KNOTS] *= 10  # so wide that numbers fall between them
        dense[KNOTS].sort(axis=1)
    model = Model(
        settings,
        inputs,
        ("purchase", "cart", "click")[:labels],
        table_keys,
        values,
        np.zeros((1, 3), np.int32),
        dense,
        [],
        0,
        random,
    )
    _join(model, names["item"])
    return model


def _random_values(random: np.random.Generator, rows: int, width: int) -> NDArray[np.float32]:
    return random.normal(0, 0.3, (rows, width)).astype(np.float32)


def _join(model: Model, ids: list[str]) -> NDArray[np.int32]:
    """Add a catalogue of these items; their attributes' rows."""
    random, count = model.random, len(ids)
    texts = max(1, count * 2 // 3)  # some items share a text, the last have none
    vectors = random.normal(size=(texts, model.settings.text_dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    text = random.integers(0, texts, count).astype(np.int32)
    text[-2:] = -1
    rows = np.stack([random.integers(1, 4, count), random.integers(1, 3, count)], axis=1)
    attributes = np.stack([model.keys["category"][rows[:, 0]], model.keys["brand"][rows[:, 1]]], axis=1)
    model.catalogues.append(Catalogue(keys(ids), tuple(ids), attributes, text, vectors.astype(np.float16)))
    added = np.column_stack([rows, np.where(text < 0, 0, text + 1 + model.texts)]).astype(np.int32)
    model.attributes = np.concatenate([model.attributes, added])
    model.texts += texts
    return added


@dataclass
class Publisher:
    """Publishes a model, and small random changes to it."""

    storage: Storage
    signer: Ed25519PrivateKey
    model: Model
    epoch: int = 1
    window: int = -1
    full_version: str = ""
    deltas: tuple[str, ...] = ()
    template: GraphTemplate = field(init=False)
    graph: File | None = None

    def __post_init__(self) -> None:
        settings = self.model.settings
        self.template = GraphTemplate(self.model.inputs, len(self.model.labels), settings.dim, settings.hidden, settings.bins)

    def full(self, publish: bool = True) -> Manifest:
        """The whole model as the next window's bundle."""
        model = self.model
        changes = {}
        for name in TABLES:
            rows = np.arange(1, len(model.keys[name]), dtype=np.int32)
            changes[name] = TableChange(rows, model.values[name][1:], rows, model.keys[name][1:])
        changes["item"] = TableChange(*_fields(changes["item"]), model.attributes[1:])
        files = self._dense_files() | {"tables": encode_tables(changes)}
        files |= {f"catalogue-{number}": encode_catalogue(one) for number, one in enumerate(model.catalogues)}
        self.deltas, parent = (), self._version() if self.window >= 0 else None
        manifest = self._publish("full", parent, files)
        self.full_version = manifest.version
        if publish:
            self._move(manifest)
        return manifest

    def delta(self, rows: int = 5, dense: bool = True, new_items: int = 0, publish: bool = True) -> Manifest:
        """The next window: some rows of every table moved, perhaps the dense part, perhaps new items."""
        model, changes, files = self.model, {}, {}
        before = len(model.keys["item"])
        if new_items:
            self._new_items(new_items)
            files[f"catalogue-{len(model.catalogues) - 1}"] = encode_catalogue(model.catalogues[-1])
        for name in TABLES:
            touched = np.sort(model.random.choice(np.arange(1, len(model.keys[name])), min(rows, len(model.keys[name]) - 1), False))
            touched = touched.astype(np.int32)
            model.values[name][touched] = _random_values(model.random, len(touched), model.settings.dim + 1)
            changes[name] = TableChange(touched, model.values[name][touched])
        if new_items:
            new = np.arange(before, before + new_items, dtype=np.int32)
            touched = np.union1d(changes["item"].rows, new).astype(np.int32)
            changes["item"] = TableChange(
                touched, model.values["item"][touched], new, model.keys["item"][new], model.attributes[new]
            )
        if dense:
            for name in sorted(model.dense.keys() - {KNOTS}):  # which lie where they lay in history
                weight, step = model.dense[name], 0.002 if name.startswith("bins") else 0.02  # a number's bins add up
                weight += model.random.normal(0, step, weight.shape).astype(np.float32)
            files |= self._dense_files()
        parent = self._version()
        manifest = self._publish("delta", parent, files | {"tables": encode_tables(changes)})
        self.deltas = (*self.deltas, manifest.version)
        if publish:
            self._move(manifest)
        return manifest

    def announcement(self, manifest: Manifest) -> BundleAnnouncement:
        """What is said of it on ``bundles``."""
        storage_key = self.storage.manifest_key(manifest.version)
        return BundleAnnouncement(
            task=manifest.task,
            version=manifest.version,
            parent=manifest.parent,
            manifest=storage_key,
            published_at=manifest.created,
        )

    def pointer(self) -> Pointer:
        """To the newest bundle."""
        return Pointer(
            task="ranking", version=self._version(), epoch=self.epoch, full=self.full_version, deltas=self.deltas, moved_at=1.0
        )

    def _new_items(self, count: int) -> None:
        model = self.model
        ids = [f"new{self.window + 1}-{n}" for n in range(count)]
        _join(model, ids)
        model.keys["item"] = np.concatenate([model.keys["item"], np.array([key(one) for one in ids], np.uint64)])
        fresh = np.zeros((count, model.settings.dim + 1), np.float32)
        model.values["item"] = np.concatenate([model.values["item"], fresh])

    def _dense_files(self) -> dict[str, bytes]:
        return {"dense": encode_dense(self.model.dense), "graph": self.template.fill(self.model.dense)}

    def _version(self) -> str:
        return version(self.window, self.epoch)

    def _publish(self, kind: Literal["full", "delta"], parent: str | None, files: Mapping[str, bytes]) -> Manifest:
        self.window += 1
        model, settings = self.model, self.model.settings
        order = ["tables", "dense", "graph", *catalogue_files(files)]
        manifest = Manifest(
            task="ranking",
            version=self._version(),
            window=self.window,
            epoch=self.epoch,
            kind=kind,
            parent=parent,
            created=1_700_000_000.0 + self.window,
            files={name: self.storage.put_blob(files[name]) for name in order if name in files},
            labels=model.labels,
            inputs=model.inputs,
            dim=settings.dim,
            hidden=settings.hidden,
            text_dim=settings.text_dim,
            tables={name: TableSize(len(model.keys[name]), settings.capacity[name]) for name in TABLES},
            frozen=settings.frozen,
            trainable=(*TABLES, "dense"),
            windows=(self.window, self.window),
            weights_sha256=model.sha256(),
        )
        manifest = sign(manifest, self.signer)
        self.storage.put_manifest(manifest)
        return manifest

    def _move(self, manifest: Manifest) -> None:
        self.storage.move_latest(self.pointer())


def _fields(change: TableChange) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.uint64]]:
    return change.rows, change.values, change.new_rows, change.new_keys
