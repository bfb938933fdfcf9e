"""Hypothesis strategies for any Struct of the contracts, within the limits that its annotations state."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect


def messages(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Messages of this kind; a field with a default is sometimes left out."""
    return _struct(inspect.type_info(kind))


def _struct(info: Any) -> st.SearchStrategy[Any]:
    required = {field.name: _values(field.type) for field in info.fields if field.required}
    optional = {field.name: _values(field.type) for field in info.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: info.cls(**values))


def _values(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType():
            return _struct(info)
        case inspect.Metadata():
            return _values(info.type)
        case inspect.StrType():
            return st.text(st.characters(codec="utf-8"), min_size=info.min_length or 0, max_size=min(info.max_length or 20, 20))
        case inspect.FloatType():
            return _floats(info)
        case inspect.IntType():
            return st.integers(0, 2**53)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.BytesType():
            return st.binary(max_size=20)
        case inspect.DateTimeType():
            return st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.UnionType():
            return st.one_of(*map(_values, info.types))
        case inspect.TupleType():
            return st.tuples(*map(_values, info.item_types))
        case inspect.VarTupleType():
            return st.lists(_values(info.item_type), max_size=3).map(tuple)
        case inspect.ListType():
            return st.lists(_values(info.item_type), max_size=3)
        case inspect.DictType():
            return st.dictionaries(_values(info.key_type), _values(info.value_type), max_size=3)
    raise TypeError(f"no strategy for {info}")


def _floats(info: inspect.FloatType) -> st.SearchStrategy[float]:
    low, high = info.ge if info.ge is not None else info.gt, info.le
    return st.floats(low, high, exclude_min=info.gt is not None, allow_nan=False, allow_infinity=False)
