import type { RopeConfig } from "./config.ts";
import { cos, log, pow, sin } from "./math.ts";

/**
 * The angle per position of each channel pair, f32 [d/2], as the families define it: single precision at every step,
 * because that is what the checkpoints were trained and are compared with.
 */
export function inverseFrequencies(rope: RopeConfig, headDim: number): Float32Array {
  const half = headDim / 2;
  const powers = Float32Array.from(
    { length: half },
    (_, c) => pow(rope.base, Math.fround((2 * c) / headDim)),
  );
  const plain = powers.map((power) => 1 / power);
  const scaling = rope.scaling;
  if (scaling === null) return plain;
  switch (scaling.type) {
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "factors":
      return plain.map((frequency, c) => frequency / scaling.factors[c]);
    case "llama3":
      return plain.map((frequency) => {
        const wavelength = (2 * Math.PI) / frequency;
        const { originalContext, lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
        if (wavelength < originalContext / high) return frequency;
        if (wavelength > originalContext / low) return frequency / scaling.factor;
        const smooth = (originalContext / wavelength - low) / (high - low);
        return ((1 - smooth) * frequency) / scaling.factor + smooth * frequency;
      });
    case "yarn": {
      const pairTurning = (turns: number) =>
        (headDim * log(scaling.originalContext / (turns * 2 * Math.PI))) / (2 * log(rope.base));
      let low = pairTurning(scaling.betaFast);
      let high = pairTurning(scaling.betaSlow);
      if (scaling.truncate) [low, high] = [Math.floor(low), Math.ceil(high)];
      low = Math.max(low, 0);
      high = Math.min(high, headDim - 1);
      if (low === high) high += 0.001;
      return plain.map((frequency, c) => {
        const interpolated = Math.min(Math.max((c - low) / (high - low), 0), 1);
        return (interpolated * frequency) / scaling.factor + (1 - interpolated) * frequency;
      });
    }
  }
}

/** f32 [positions, 2, d/2]: cos, then sin, of position · frequency. */
export function ropeTable(rope: RopeConfig, headDim: number, positions: number): Float32Array {
  const half = headDim / 2;
  const frequencies = inverseFrequencies(rope, headDim);
  const amplitude = rope.scaling?.type === "yarn" ? rope.scaling.attentionFactor : 1;
  const table = new Float32Array(positions * headDim);
  for (let position = 0; position < positions; position++) {
    const row = position * headDim;
    for (let c = 0; c < half; c++) {
      const angle = Math.fround(position * frequencies[c]);
      table[row + c] = cos(angle) * amplitude;
      table[row + half + c] = sin(angle) * amplitude;
    }
  }
  return table;
}
