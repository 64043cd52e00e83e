import { type FloatTensor, product } from "./tensor.ts";

/** x ← x + y, same shape. */
export function add(x: FloatTensor, y: FloatTensor): void {
  const columns = x.shape[x.shape.length - 1];
  const count = product(x.shape);
  for (let row = 0; row < count; row += columns) {
    const target = x.chunk(row);
    const at = x.offset(row);
    const source = y.chunk(row);
    const from = y.offset(row);
    for (let i = 0; i < columns; i++) target[at + i] += source[from + i];
  }
}
