import { decodeRows } from "../quantisation.ts";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";

/** A flaw in the values of one tensor. */
export interface WeightFlaw {
  /** Its name in `Checkpoint.tensors`. */
  readonly name: string;
  readonly flaw: "not finite" | "all zero";
  /** Where the first such value is, counted through the rows. */
  readonly index: number;
}

const PIECE_VALUES = 2 ** 20;

/** Reads every weight and yields tensors that hold NaN or an infinity, and matrices and norms of zeros alone. */
export async function* weightFlaws(checkpoint: Checkpoint): AsyncGenerator<WeightFlaw> {
  for (const [name, tensor] of checkpoint.tensors) {
    const flaw = await flawOf(tensor);
    const isHarmless = flaw?.flaw === "all zero" && name.endsWith(".bias");
    if (flaw !== null && !isHarmless) yield { name, ...flaw };
  }
}

async function flawOf(tensor: CheckpointTensor): Promise<Omit<WeightFlaw, "name"> | null> {
  const columns = tensor.shape[tensor.shape.length - 1];
  const rows = tensor.shape.length === 1 ? 1 : tensor.shape[0];
  const perPiece = Math.max(1, Math.floor(PIECE_VALUES / columns));
  let zero = true;
  for (let row = 0; row < rows; row += perPiece) {
    const count = Math.min(perPiece, rows - row);
    const values = new Float32Array(count * columns);
    decodeRows(tensor.dtype, await tensor.readRows(row, count), values);
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) return { flaw: "not finite", index: row * columns + i };
      if (values[i] !== 0) zero = false;
    }
  }
  return zero ? { flaw: "all zero", index: 0 } : null;
}
