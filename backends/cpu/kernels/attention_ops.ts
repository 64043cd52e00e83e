import { appendKv, fetchRows, sumValues } from "./append_kv";
import { attendOp } from "./attend_ops";
import { APPEND_KV, ATTEND_ROWS, ATTEND_RUN, FETCH_ROWS, MERGE_SPLITS, SUM_VALUES } from "./ops";

export function attentionOp(op: i32, command: usize, thread: i32): void {
  switch (op) {
    case APPEND_KV:
      return appendKv(command);
    case SUM_VALUES:
      return sumValues(command);
    case FETCH_ROWS:
      return fetchRows(command);
    case ATTEND_ROWS:
    case MERGE_SPLITS:
    case ATTEND_RUN:
      return attendOp(op, command, thread);
    default:
      unreachable();
  }
}
