import { address, claim, int } from "./command";

/** out, partial, mix, R, chosen, N: out[r] ← Σ_j mix[r, j]·partial[r, j], in order of j. */
export function mixExperts(command: usize): void {
  const out = address(command, 0);
  const partial = address(command, 1);
  const mix = address(command, 2);
  const R = int(command, 3);
  const chosen = int(command, 4);
  const N = int(command, 5);
  const rowBytes = <usize> N << 2;
  for (let r = claim(command); r < R; r = claim(command)) {
    const to = out + <usize> r * rowBytes;
    const from = partial + <usize> (r * chosen) * rowBytes;
    const shares = mix + (<usize> (r * chosen) << 2);
    for (let n: usize = 0; n < rowBytes; n += 4) {
      let sum: f32 = 0;
      for (let j = 0; j < chosen; j++) {
        sum += load<f32>(shares + (<usize> j << 2)) * load<f32>(from + <usize> j * rowBytes + n);
      }
      store<f32>(to + n, sum);
    }
  }
}
