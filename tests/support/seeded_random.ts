/** Uniform numbers in [0, 1), the same ones for a seed on every runtime. */
export type Random = () => number;

/** Marsaglia's 32-bit xorshift over a mixed seed. */
export function seededRandom(seed: number): Random {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Whole number from 0 below `end`. */
export function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

/** About normal, mean 0, standard deviation `scale`: the sum of twelve uniform numbers. */
export function normals(random: Random, count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random();
    return sum * scale;
  });
}

export function randomBytes(random: Random, count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, () => below(random, 256));
}
