"""How the inner loops are compiled, and three instructions that the compiler does not offer by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call and keep the result on disk, where there is a folder that can be written."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no folder to keep compiled code in
        return njit(nogil=True, error_model="numpy")(function)


@intrinsic
def bits_of(typing: Any, number: Any) -> Any:
    """Return the bits of a float32 number as int32, inside compiled code."""
    return types.int32(types.float32), _bitcast(types.int32)


@intrinsic
def number_of(typing: Any, bits: Any) -> Any:
    """Return the float32 number of these int32 bits, inside compiled code."""
    return types.float32(types.int32), _bitcast(types.float32)


def _bitcast(kind: Any) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(kind))

    return generate


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of `array[index]`, inside compiled code, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        ir, number = cgutils.ir, cgutils.int32_t
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        address = builder.bitcast(builder.gep(data, [values[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(function, [address, number(0), number(2), number(1)])  # to read, into level 2, data
        return context.get_dummy_value()

    return types.none(array, index), generate
