import { multiplyMatrix, multiplyVector } from "./multiply_blocks";
import { MULTIPLY_MATRIX, MULTIPLY_VECTOR, PACK_BLOCKS, PROBE_DOT, QUANTISE_ROWS } from "./ops";
import { packBlocks } from "./pack_blocks";
import { probeDot } from "./probe_dot";
import { quantiseRows } from "./quantise";

export function blockOp(op: i32, command: usize, thread: i32): void {
  switch (op) {
    case QUANTISE_ROWS:
      return quantiseRows(command);
    case PACK_BLOCKS:
      return packBlocks(command);
    case MULTIPLY_VECTOR:
      return multiplyVector(command);
    case MULTIPLY_MATRIX:
      return multiplyMatrix(command, thread);
    case PROBE_DOT:
      return probeDot(command, thread);
    default:
      unreachable();
  }
}
