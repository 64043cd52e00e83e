import { Kv } from "./kv_values";
import { TILE_TOKENS } from "./ops";

/**
 * The keys of a block as f32 panels [tokens/8, dp, 8]: a lane is a token. `count` tokens of `wanted` (a multiple of 8) are
 * there; the others repeat the last, as their scores count for nothing.
 */
export function keyPanels<T>(to: usize, keys: usize, count: i32, wanted: i32, stride: usize, d: i32): void {
  const dp = (d + 7) & ~7;
  const last = keys + <usize> (count - 1) * stride;
  for (let n = 0; n < wanted; n += 4) {
    const k0 = min(keys + <usize> n * stride, last);
    const k1 = min(k0 + stride, last);
    const k2 = min(k1 + stride, last);
    const k3 = min(k2 + stride, last);
    const panel = to + (<usize> (n >> 3) * <usize> dp << 5) + (<usize> (n & 4) << 2);
    if ((d & 7) != 0) {
      for (let c = 0; c < dp; c++) {
        const at = panel + (<usize> c << 5);
        const from = <usize> c * sizeof<T>();
        store<f32>(at, c < d ? Kv.one<T>(k0 + from) : 0);
        store<f32>(at, c < d ? Kv.one<T>(k1 + from) : 0, 4);
        store<f32>(at, c < d ? Kv.one<T>(k2 + from) : 0, 8);
        store<f32>(at, c < d ? Kv.one<T>(k3 + from) : 0, 12);
      }
    } else if (isFloat<T>()) {
      for (let c = 0; c < d; c += 4) {
        const from = <usize> c << 2;
        const at = panel + (<usize> c << 5);
        storeTurned(
          at,
          32,
          v128.load(k0 + from),
          v128.load(k1 + from),
          v128.load(k2 + from),
          v128.load(k3 + from),
        );
      }
    } else {
      for (let c = 0; c < d; c += 8) {
        const from = <usize> c << 1;
        const at = panel + (<usize> c << 5);
        const x0 = v128.load(k0 + from), x1 = v128.load(k1 + from);
        const x2 = v128.load(k2 + from), x3 = v128.load(k3 + from);
        storeTurned(at, 64, Kv.trueEven<T>(x0), Kv.trueEven<T>(x1), Kv.trueEven<T>(x2), Kv.trueEven<T>(x3));
        storeTurned(at + 32, 64, Kv.trueOdd<T>(x0), Kv.trueOdd<T>(x1), Kv.trueOdd<T>(x2), Kv.trueOdd<T>(x3));
      }
    }
  }
}

/** The four columns of four rows, `step` bytes apart. */
function storeTurned(to: usize, step: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to + step, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
  const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to + 2 * step, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5));
  v128.store(to + 3 * step, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7));
}

/** The values of a block as f32 panels [dp/8, 64, 8], in even and odd order; zeros for the tokens that are not there. */
export function valuePanels<T>(
  to: usize,
  values: usize,
  count: i32,
  wanted: i32,
  stride: usize,
  d: i32,
): void {
  const dp = (d + 7) & ~7;
  const step = <usize> TILE_TOKENS << 5;
  for (let n = 0; n < wanted; n++, values += stride) {
    let at = to + (<usize> n << 5);
    for (let c = 0; c < dp; c += 8, at += step) {
      if (n >= count) {
        v128.store(at, f32x4.splat(0));
        v128.store(at, f32x4.splat(0), 16);
      } else if ((d & 7) != 0) {
        for (let j = 0; j < 8; j++) {
          const value: f32 = c + j < d ? Kv.one<T>(values + <usize> (c + j) * sizeof<T>()) : 0;
          store<f32>(at + (<usize> j << 2), value);
        }
      } else if (isFloat<T>()) {
        const from = values + (<usize> c << 2);
        v128.store(at, v128.load(from));
        v128.store(at, v128.load(from, 16), 16);
      } else {
        const x = v128.load(values + (<usize> c << 1));
        v128.store(at, Kv.trueEven<T>(x));
        v128.store(at, Kv.trueOdd<T>(x), 16);
      }
    }
  }
}
