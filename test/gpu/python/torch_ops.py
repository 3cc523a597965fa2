# needs: torch
# timeout: 240
"""PyTorch's own operator samples on the GPU: every result hashed, two samples of each operator and type.

Every second operator, or all of them where ROSEN_TEST_ALL_OPS is set.
"""
import hashlib
import os
import random
import sys
import types
import unittest
import warnings

import numpy

from shared.digest import deterministic_torch, digest

torch = deterministic_torch()
warnings.simplefilter("ignore")
# The samples' module imports a test library that it needs for its own tests only.
sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

# Results that are memory nobody wrote.
UNDEFINED = ("empty", "resize", "new_empty")
SAMPLES = 2


def leaves(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)


def outcome(op, sample):
    """The hashes of one call's results, or the kind of error it ends in."""
    torch.manual_seed(5)
    try:
        result = op(sample.input, *sample.args, **sample.kwargs)
        return [digest(leaf.resolve_conj().resolve_neg()) for leaf in leaves(result)
                if leaf.layout == torch.strided]
    except Exception as error:
        if "CUDA error" in str(error):
            raise
        return [type(error).__name__]


operators = unstable = hashed = 0
for op in op_db if os.environ.get("ROSEN_TEST_ALL_OPS") else op_db[::2]:
    if any(word in op.name for word in UNDEFINED):
        continue
    for kind in (torch.float32, torch.bfloat16):
        if kind not in op.supported_dtypes("cuda"):
            continue
        torch.manual_seed(4)
        random.seed(4)
        numpy.random.seed(4)
        whole = hashlib.sha256()
        stable = True
        for _, sample in zip(range(SAMPLES), op.sample_inputs("cuda", kind, requires_grad=False)):
            first = outcome(op, sample)
            stable = stable and first == outcome(op, sample)
            whole.update(" ".join(first).encode())
            hashed += 1
        operators += 1
        if stable:
            print(op.formatted_name, kind, whole.hexdigest()[:16])
        else:
            unstable += 1
            print(op.formatted_name, kind, "differs from call to call")
assert operators > 300 and unstable < operators // 10, (operators, unstable)
print(operators, "operators and types,", hashed, "samples,", unstable, "unstable")
