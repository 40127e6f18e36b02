"""Arithmetic with the same result on every machine.

The sum of many rounded products depends on their order, and so on the processor, the BLAS library and the number
of threads. It does not where every sum is exact: `on_grid` rounds a tensor to multiples of one power of two, few
enough bits that each product, and each sum of up to 2048 products, fits the 53 bits of a float64. Then `product`
rounds nothing, and no order of adding, fused operation or thread can change it.

What stays are single operations that IEEE 754 defines to the last bit: + - * / and the square root. `exp` is made
of those; sine and cosine are rounded to a grid far coarser than the differences between mathematical libraries.
"""

import math

import numpy as np

FLOAT_BITS = 53
MATMUL_BITS = 21
MATMUL_TERMS = 2 ** (FLOAT_BITS - 2 * MATMUL_BITS)
SUM_BITS = 40
LOG2_E = 1.4426950408889634
# The natural logarithm of 2 in two parts; products of the first with whole numbers below 2^20 are exact.
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
EXP_BLOCK = 16384


def on_grid(x: np.ndarray, bits: int = MATMUL_BITS) -> np.ndarray:
    """Rounds a tensor to multiples of one power of two, of which its largest magnitude is at most 2^bits.

    Adding a number so large that its last bit is the grid's step, and taking it off, does the rounding.
    """
    if x.size == 0:
        return x.astype(np.float64)
    largest = max(float(x.max()), -float(x.min()))
    step = math.ldexp(1.0, math.frexp(largest)[1] - bits)
    shift = 1.5 * 2.0**52 * step
    rounded = np.add(x, shift, dtype=np.float64)
    rounded -= shift
    return rounded


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiplies matrices that are on grids. Longer sums are made of exact parts, which are added in their order."""
    result = a[..., :MATMUL_TERMS] @ b[..., :MATMUL_TERMS, :]
    for start in range(MATMUL_TERMS, a.shape[-1], MATMUL_TERMS):
        part = slice(start, start + MATMUL_TERMS)
        result += a[..., part] @ b[..., part, :]
    return result


def total(x: np.ndarray, axis: int, keepdims: bool = False) -> np.ndarray:
    """Sums along an axis, after rounding to 2^-40 of the largest in the tensor, or less finely for very many terms."""
    bits = min(SUM_BITS, FLOAT_BITS - x.shape[axis].bit_length())
    return on_grid(x, bits).sum(axis=axis, keepdims=keepdims)


def exp_block(x: np.ndarray) -> np.ndarray:
    """Computes e^x of a block: a power of two times a polynomial of the rest, which is squared three times."""
    x = np.clip(x, -700.0, 700.0)
    power = np.rint(x * LOG2_E)
    x -= power * LN2_HIGH
    x -= power * LN2_LOW
    x *= 0.125
    result = x * (1.0 / 120.0)
    for coefficient in (1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0):
        result += coefficient
        result *= x
    result += 1.0
    for _ in range(3):
        result *= result
    exponent_bits = (power.astype(np.int64) + 1023) << 52
    result *= exponent_bits.view(np.float64)
    return result


def exp(x: np.ndarray) -> np.ndarray:
    """Computes e^x to about eleven digits, in blocks that stay in the processor's cache."""
    flat = np.ascontiguousarray(x).reshape(-1)
    result = np.empty_like(flat)
    for start in range(0, flat.size, EXP_BLOCK):
        block = slice(start, start + EXP_BLOCK)
        result[block] = exp_block(flat[block])
    return result.reshape(x.shape)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Computes 1 / (1 + e^-x)."""
    return 1.0 / (1.0 + exp(-x))


def softmax(x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Turns scores along the last axis into probabilities; where the mask is false it is (nearly) 0."""
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    weights = exp(x - x.max(axis=-1, keepdims=True))
    weights /= total(weights, axis=-1, keepdims=True)
    return weights


class Random:
    """Random numbers of which every bit follows from the seed; numpy's own distributions may change."""

    def __init__(self, seed: int):
        """Starts a sequence."""
        self.bits = np.random.PCG64(seed)

    def uniform(self, shape: tuple[int, ...], spread: float) -> np.ndarray:
        """Draws numbers between -spread and +spread."""
        raw = self.bits.random_raw(math.prod(shape)) >> np.uint64(11)
        return ((raw * 2.0**-52 - 1.0) * spread).reshape(shape)

    def below(self, limit: int, count: int) -> np.ndarray:
        """Draws whole numbers from 0 up to, and without, a limit."""
        return (self.bits.random_raw(count) % np.uint64(limit)).astype(np.int64)


class Adam:
    """The Adam optimiser in float32, with a learning rate that rises over `warmup` steps and falls linearly to 0."""

    def __init__(self, weights: dict[str, np.ndarray], rate: float, steps: int, warmup: int):
        """Takes the weights that it will change in place."""
        self.weights = weights
        self.rate, self.steps, self.warmup = rate, steps, warmup
        self.means = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.squares = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.step = 0
        self.decays = [0.9, 0.95]
        self.remainders = [1.0, 1.0]

    def update(self, gradients: dict[str, np.ndarray]) -> None:
        """Makes one step along the gradients."""
        self.step += 1
        self.remainders = [rest * decay for rest, decay in zip(self.remainders, self.decays)]
        rate = self.rate * min(self.step / self.warmup, (self.steps - self.step + 1) / self.steps)
        scale = np.float32(rate / (1.0 - self.remainders[0]))
        correction = np.float32(1.0 / (1.0 - self.remainders[1]))
        first, second = (np.float32(decay) for decay in self.decays)
        one = np.float32(1.0)
        for name, weight in self.weights.items():
            gradient = gradients[name].astype(np.float32)
            mean, square = self.means[name], self.squares[name]
            mean *= first
            mean += (one - first) * gradient
            square *= second
            gradient *= gradient
            gradient *= one - second
            square += gradient
            spread = np.sqrt(square * correction)
            spread += np.float32(1e-8)
            weight -= scale * mean / spread
