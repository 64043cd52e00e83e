/**
 * Vectors that kernels load from memory: engines build a constant vector anew wherever it is used, inside the innermost loops too,
 * which costs three instructions where a load costs one.
 */

/** For `kernels/exp.ts`, in the order it names them. */
export const EXP_VALUES = [
  Math.LOG2E,
  // ln 2 in two parts, the first with few enough bits that its product with an exponent is exact.
  0.693359375,
  -2.12194440e-4,
  // Taylor with the last coefficients moved to spread the error over |r| ≤ ln 2 / 2.
  1.9875691500e-4,
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
  1,
  -87,
  1.5 * 2 ** 23,
];

/** For `power4` there, in the same way: 2^r over |r| ≤ 1/2 with the relative error spread evenly. */
export const POWER_VALUES = [
  1.5 * 2 ** 23,
  0.6931470036506653,
  0.24022242426872253,
  0.05550733581185341,
  0.009671512991189957,
  0.001326472731307149,
  1,
  -126,
];

/** For `kernels/decay.ts`: least exponent, 1.5·2^23, then 2^r over |r| ≤ 1/2 from the highest power down, the error evenly spread. */
export const DECAY_VALUES = [
  -126,
  1.5 * 2 ** 23,
  0.009582700207829475,
  0.05590687692165375,
  0.24024103581905365,
  0.6931241154670715,
  1,
];

/** For `kernels/half.ts`: what a shifted f16 keeps, and the upper half of a word. */
export const MASK_VALUES = [0x8fffe000, 0xffff0000];
