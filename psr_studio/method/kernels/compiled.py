"""How the inner loops are compiled, and the one processor instruction that Numba does not offer by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call and keep the result on disk, where there is a folder that can be written.

    No fast-math: nothing is reordered or contracted, so the numbers are those of plain float64 arithmetic.
    """
    return _compile(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, and copied into each compiled caller: for small functions that take a `NamedTuple` of arrays.

    A call that is not inlined counts the references of each array in it, which costs more than their work.
    """
    return _compile(function, forceinline=True)


def _compile(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    try:
        return njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    except RuntimeError:  # numba finds no folder to keep compiled code in
        return njit(nogil=True, error_model="numpy", **options)(function)


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
