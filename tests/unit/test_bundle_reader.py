"""What may not be served is refused with its reason, and nothing of it is used."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from shared.bundles.files import decode_dense, decode_tables, encode_dense, encode_tables
from shared.bundles.manifest import Manifest
from shared.bundles.objects import MemoryObjects
from shared.bundles.reader import BundleReader, steps
from shared.bundles.signing import sign
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from shared.messages import Inputs
from shared.model.scorer import Scorer
from shared.model.update import Update
from tests.bundles import INPUTS, Publisher, a_key, a_model


@pytest.fixture
def publisher() -> Publisher:
    made = Publisher(Storage(MemoryObjects(), "ranking"), a_key(), a_model())
    made.full()
    return made


def reader_of(publisher: Publisher, key: int = 1, inputs: Inputs = INPUTS) -> BundleReader:
    return BundleReader(publisher.storage, a_key(key).public_key(), lambda: inputs)


def rewritten(publisher: Publisher, manifest: Manifest, name: str, data: bytes) -> None:
    """Put another file into a published bundle, signed and all, as a faulty updater would."""
    files = manifest.files | {name: publisher.storage.put_blob(data)}
    forged = sign(msgspec.structs.replace(manifest, files=files, weights_sha256=""), publisher.signer)
    key = publisher.storage.manifest_key(manifest.version)
    publisher.storage.objects.delete(key)
    publisher.storage.put_manifest(forged)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(BundleRefused) as error:
        act()
    return error.value.code


def load(publisher: Publisher, **options: object) -> Scorer:
    return reader_of(publisher, **options).load(publisher.pointer())


def prepare(publisher: Publisher, scorer: Scorer) -> Update:
    return Update.prepare(scorer, reader_of(publisher).fetch(publisher.deltas[-1]))


def test_a_good_bundle_is_loaded(publisher: Publisher) -> None:
    assert load(publisher).manifest.version == publisher.pointer().version


def test_another_key_signed_it(publisher: Publisher) -> None:
    assert refused(lambda: load(publisher, key=2)) == "forged"


def test_a_manifest_under_another_version_is_forged(publisher: Publisher) -> None:
    objects = publisher.storage.objects
    objects.create("ranking/bundles/00000009-0001/manifest.json", publisher.storage.manifest_bytes("00000000-0001"))
    assert refused(lambda: reader_of(publisher).fetch("00000009-0001")) == "forged"


def test_bytes_that_changed_are_corrupt(publisher: Publisher) -> None:
    file = publisher.storage.manifest("00000000-0001").files["tables"]
    found = publisher.storage.objects.read(file.key("ranking"))
    publisher.storage.objects.replace(file.key("ranking"), found.data[:-1] + b"?", found.etag)
    assert refused(lambda: load(publisher)) == "corrupt"


def test_weights_with_another_hash_than_the_manifest_says_are_corrupt(publisher: Publisher) -> None:
    publisher.delta(publish=False)
    publisher.model.values["user"][1] += 1  # the hash is of other weights than the files hold
    publisher.full()
    manifest = publisher.storage.manifest(publisher.full_version)
    wrong = sign(msgspec.structs.replace(manifest, weights_sha256="0" * 64), publisher.signer)
    publisher.storage.objects.delete(publisher.storage.manifest_key(manifest.version))
    publisher.storage.put_manifest(wrong)
    assert refused(lambda: load(publisher)) == "corrupt"


def test_a_missing_version_is_missing(publisher: Publisher) -> None:
    assert refused(lambda: reader_of(publisher).fetch("00000099-0001")) == "missing"


def test_inputs_that_no_plan_has_are_named(publisher: Publisher) -> None:
    with pytest.raises(BundleRefused, match=r"user\.spend") as error:
        load(publisher, inputs=Inputs(INPUTS.user[:1], INPUTS.candidate))
    assert error.value.code == "inputs"


def test_a_delta_that_skips_one_is_a_gap(publisher: Publisher) -> None:
    scorer = load(publisher)
    publisher.delta()
    publisher.delta()
    assert refused(lambda: prepare(publisher, scorer)) == "gap"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("table", ["user", "item"])
def test_rows_that_are_no_numbers_are_refused(publisher: Publisher, table: str, value: float) -> None:
    scorer = load(publisher)
    manifest = publisher.delta()
    changes = decode_tables(publisher.storage.get_blob(manifest.files["tables"]))
    values = changes[table].values.copy()
    values[0, 0] = value
    object.__setattr__(changes[table], "values", values)
    rewritten(publisher, manifest, "tables", encode_tables(changes))
    assert refused(lambda: prepare(publisher, scorer)) == "non_finite"


def test_dense_weights_that_are_no_numbers_are_refused(publisher: Publisher) -> None:
    scorer = load(publisher)
    manifest = publisher.delta()
    weights = decode_dense(publisher.storage.get_blob(manifest.files["dense"]))
    weights["text_projection"] = np.full_like(weights["text_projection"], np.nan)
    rewritten(publisher, manifest, "dense", encode_dense(weights))
    assert refused(lambda: prepare(publisher, scorer)) == "non_finite"


def test_a_dense_weight_of_a_formula_that_is_not_known_is_refused(publisher: Publisher) -> None:
    scorer = load(publisher)
    manifest = publisher.delta()
    weights = decode_dense(publisher.storage.get_blob(manifest.files["dense"]))
    rewritten(publisher, manifest, "dense", encode_dense(weights | {"attention": weights["text_projection"]}))
    assert refused(lambda: prepare(publisher, scorer)) == "shapes"


def test_rows_beyond_the_capacity_are_refused(publisher: Publisher) -> None:
    scorer = load(publisher)
    manifest = publisher.delta(rows=3)
    changes = decode_tables(publisher.storage.get_blob(manifest.files["tables"]))
    object.__setattr__(changes["user"], "rows", np.array([1, 2, 10_000], np.int32))
    rewritten(publisher, manifest, "tables", encode_tables(changes))
    assert refused(lambda: prepare(publisher, scorer)) == "shapes"


def test_a_graph_that_is_none_is_corrupt(publisher: Publisher) -> None:
    scorer = load(publisher)
    manifest = publisher.delta()
    rewritten(publisher, manifest, "graph", b"no graph")
    assert refused(lambda: prepare(publisher, scorer)) == "corrupt"


def test_a_graph_of_another_shape_is_refused(publisher: Publisher) -> None:
    scorer = load(publisher)
    manifest = publisher.delta()
    other = a_model(inputs=Inputs(INPUTS.user, INPUTS.candidate[:2]))
    graph = Publisher(Storage(MemoryObjects(), "ranking"), a_key(), other).template.fill(other.dense)
    rewritten(publisher, manifest, "graph", graph)
    assert refused(lambda: prepare(publisher, scorer)) == "shapes"


def test_texts_in_memory_are_not_fetched_again(publisher: Publisher) -> None:
    scorer = load(publisher)
    publisher.delta(new_items=2)
    publisher.full()
    again = reader_of(publisher).load(publisher.pointer(), scorer.texts)
    catalogues = [file for name, file in again.manifest.files.items() if name.startswith("catalogue")]
    assert again.texts.joined == tuple(file.sha256 for file in catalogues)
    publisher.storage.objects.delete(catalogues[0].key("ranking"))
    assert reader_of(publisher).load(publisher.pointer(), scorer.texts).sha256() == again.sha256()


def test_the_steps_to_a_target(publisher: Publisher) -> None:
    first = publisher.pointer()
    publisher.delta()
    publisher.delta()
    target = publisher.pointer()
    assert list(steps(first.version, target)) == ["00000001-0001", "00000002-0001"]
    assert list(steps(target.version, target)) == []
    assert steps("00000007-0001", target) is None
    assert steps(target.version, first) is None
