import { floatRows, layOutRows } from "./float_rows";
import { floatTiles } from "./float_tiles";
import { FLOAT_ROWS, FLOAT_TILES, LAY_OUT_ROWS, MIX_EXPERTS, PACK_WIDE, WIDE_ROWS, WIDE_TILES } from "./ops";
import { mixExperts } from "./mix_experts";
import { packWide } from "./wide_pack";
import { wideRows } from "./wide_rows";
import { wideTiles } from "./wide_tiles";

export function wideOp(op: i32, command: usize, thread: i32): void {
  switch (op) {
    case LAY_OUT_ROWS:
      return layOutRows(command);
    case FLOAT_ROWS:
      return floatRows(command);
    case FLOAT_TILES:
      return floatTiles(command, thread);
    case PACK_WIDE:
      return packWide(command);
    case WIDE_ROWS:
      return wideRows(command);
    case WIDE_TILES:
      return wideTiles(command, thread);
    case MIX_EXPERTS:
      return mixExperts(command);
    default:
      unreachable();
  }
}
