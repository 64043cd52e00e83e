import { address, claim, float, int } from "./command";

/** out, x, weight, rows, D, epsilon: out ← x / √(mean x² + epsilon) · weight. */
export function rmsNorm(command: usize): void {
  const out = address(command, 0);
  const x = address(command, 1);
  const weight = address(command, 2);
  const rows = int(command, 3);
  const D = int(command, 4);
  const epsilon = float(command, 5);
  for (let row = claim(command); row < rows; row = claim(command)) {
    const at = <usize> row * <usize> D << 2;
    normalise(out + at, x + at, weight, D, epsilon);
  }
}

/** One row; out may be x. */
export function normalise(out: usize, x: usize, weight: usize, D: i32, epsilon: f32): void {
  let sums = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= D; i += 4) {
    const v = v128.load(x + (<usize> i << 2));
    sums = f32x4.add(sums, f32x4.mul(v, v));
  }
  let sum = f32x4.extract_lane(sums, 0) + f32x4.extract_lane(sums, 1) +
    (f32x4.extract_lane(sums, 2) + f32x4.extract_lane(sums, 3));
  for (; i < D; i++) {
    const v = load<f32>(x + (<usize> i << 2));
    sum += v * v;
  }
  const inverse: f32 = 1 / sqrt<f32>(sum / <f32> D + epsilon);
  const inverses = f32x4.splat(inverse);
  for (i = 0; i + 4 <= D; i += 4) {
    const at = <usize> i << 2;
    v128.store(out + at, f32x4.mul(f32x4.mul(v128.load(x + at), inverses), v128.load(weight + at)));
  }
  for (; i < D; i++) {
    const at = <usize> i << 2;
    store<f32>(out + at, load<f32>(x + at) * inverse * load<f32>(weight + at));
  }
}
