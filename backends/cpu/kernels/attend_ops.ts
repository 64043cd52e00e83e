import { mergeSplits } from "./attend_merge";
import { attendRows } from "./attend_rows";
import { attendRun } from "./attend_run";
import { ARGUMENTS, ATTEND_ROWS, ATTEND_RUN, KV_BF16, KV_F16, MERGE_SPLITS } from "./ops";

/** The type of the cached values is the last argument of those that read them. */
const ROWS_TYPE: usize = 18;
const RUN_TYPE: usize = 16;

export function attendOp(op: i32, command: usize, thread: i32): void {
  if (op == MERGE_SPLITS) return mergeSplits(command);
  const type = load<i32>(command + ARGUMENTS + ((op == ATTEND_ROWS ? ROWS_TYPE : RUN_TYPE) << 2));
  if (op == ATTEND_ROWS) {
    if (type == KV_F16) attendRows<i16>(command, thread);
    else if (type == KV_BF16) attendRows<u16>(command, thread);
    else attendRows<f32>(command, thread);
  } else if (op == ATTEND_RUN) {
    if (type == KV_F16) attendRun<i16>(command, thread);
    else if (type == KV_BF16) attendRun<u16>(command, thread);
    else attendRun<f32>(command, thread);
  } else unreachable();
}
