#!/bin/sh
# trim.sh VENV: take out of an installed environment what no running service reads, compile the rest, and set every time to 0.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)

# sources for compilers and type checkers, debuggers' symbols, and the packages' own tests
find "$packages" \( -name '*.a' -o -name '*.c' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' -o -name '*.h' -o -name '*.hpp' \
    -o -name '*.pxd' -o -name '*.pyi' -o -name '*.pyx' \) -type f -delete
find "$packages" -depth -type d \( -name tests -o -name include -o -path '*/tornado/test' \) -exec rm -rf {} +
find "$packages" -name '*.so' ! -path '*.libs/*' ! -path '*/nvidia/*' ! -path '*/pyarrow/*' ! -path '*/torch/*' -type f \
    -exec strip --strip-unneeded {} +

# descriptions of Amazon's other services
find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name 'sso*' ! -name sts ! -name signin -exec rm -rf {} +
rm -rf "$packages"/boto3/examples "$packages"/boto3/data/*

# grammars of languages that neither tracebacks nor settings are written in
find "$packages" -path '*/pygments/lexers/*.py' ! -name '__init__.py' ! -name '_mapping.py' ! -name 'python.py' \
    ! -name 'data.py' ! -name 'special.py' -delete

# what makes models, and the library for C++ beside the one for Python
rm -rf "$packages"/onnxruntime/capi/libonnxruntime.so* "$packages"/onnxruntime/datasets "$packages"/onnxruntime/quantization \
    "$packages"/onnxruntime/tools "$packages"/onnxruntime/transformers

"$1/bin/python" -m compileall -qq -j 0 --invalidation-mode unchecked-hash "$packages" || true # some hold templates, some what only a newer Python reads
find "$1" -exec touch -h -d @0 {} +
