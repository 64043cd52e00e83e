import { address, claim, float, int } from "./command";
import { normalise } from "./rms_norm";

/**
 * qkv, table, positions, rows, Hq, Hk, d, queryNorm, keyNorm (0: none), epsilon: norms, if any, then rotates the q and k
 * heads in place, pairs (c, c + d/2).
 */
export function rope(command: usize): void {
  const qkv = address(command, 0);
  const table = address(command, 1);
  const positions = address(command, 2);
  const rows = int(command, 3);
  const Hq = int(command, 4);
  const Hk = int(command, 5);
  const d = int(command, 6);
  const queryNorm = address(command, 7);
  const keyNorm = address(command, 8);
  const epsilon = float(command, 9);
  const half = <usize> (d / 2) << 2;
  for (let row = claim(command); row < rows; row = claim(command)) {
    const position = load<u32>(positions + (<usize> row << 2));
    const cos = table + (<usize> position * <usize> d << 2);
    const sin = cos + half;
    let x = qkv + (<usize> row * <usize> ((Hq + 2 * Hk) * d) << 2);
    for (let h = 0; h < Hq + Hk; h++) {
      const norm = h < Hq ? queryNorm : keyNorm;
      if (norm != 0) normalise(x, x, norm, d, epsilon);
      rotate(x, cos, sin, half);
      x += <usize> d << 2;
    }
  }
}

function rotate(x: usize, cos: usize, sin: usize, half: usize): void {
  let at: usize = 0;
  for (; at + 16 <= half; at += 16) {
    const a = v128.load(x + at);
    const b = v128.load(x + half + at);
    const c = v128.load(cos + at);
    const s = v128.load(sin + at);
    v128.store(x + at, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(x + half + at, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
  }
  for (; at < half; at += 4) {
    const a = load<f32>(x + at);
    const b = load<f32>(x + half + at);
    const c = load<f32>(cos + at);
    const s = load<f32>(sin + at);
    store<f32>(x + at, a * c - b * s);
    store<f32>(x + half + at, b * c + a * s);
  }
}
