import { multiplyMatrix, multiplyVector } from "./multiply_blocks";
import {
  ADD_RESIDUALS,
  MULTIPLY_MATRIX,
  MULTIPLY_VECTOR,
  PACK_BLOCKS,
  PROBE_DOT,
  QUANTISE_ROWS,
  QUANTISE_VECTOR,
} from "./ops";
import { packBlocks } from "./pack_blocks";
import { probeDot } from "./probe_dot";
import { quantiseRows } from "./quantise";
import { addResiduals, quantiseVector } from "./residuals";

export function blockOp(op: i32, command: usize, thread: i32): void {
  switch (op) {
    case QUANTISE_ROWS:
      return quantiseRows(command);
    case QUANTISE_VECTOR:
      return quantiseVector(command, thread);
    case ADD_RESIDUALS:
      return addResiduals(command, thread);
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
