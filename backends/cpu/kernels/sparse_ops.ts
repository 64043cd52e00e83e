import { attendSelectedRows } from "./attend_selection";
import { int } from "./command";
import { collectCandidates, guessThresholds } from "./candidates";
import { finishSelection } from "./finish_selection";
import { mergeRuns } from "./merge_runs";
import { measureTails } from "./measure_tails";
import {
  ATTEND_SELECTED,
  COLLECT_CANDIDATES,
  FINISH_SELECTION,
  GUESS_THRESHOLDS,
  MEASURE_TAILS,
} from "./ops";
import { MERGE_RUNS, QUANTISE_QUERIES, ROWS_BF16, ROWS_F16, SCORE_LABELS, WEIGH_TOKENS } from "./ops";
import { quantiseQueries } from "./quantise_queries";
import { scoreLabels } from "./score_labels";
import { weighTokens } from "./weigh_tokens";

export function sparseOp(op: i32, command: usize, thread: i32): void {
  switch (op) {
    case QUANTISE_QUERIES:
      return quantiseQueries(command);
    case SCORE_LABELS:
      return scoreLabels(command, thread);
    case WEIGH_TOKENS:
      return weighTokens(command);
    case GUESS_THRESHOLDS:
      return guessThresholds(command, thread);
    case COLLECT_CANDIDATES:
      return collectCandidates(command);
    case FINISH_SELECTION:
      return finishSelection(command, thread);
    case MEASURE_TAILS:
      return measureTails(command);
    case ATTEND_SELECTED:
      if (int(command, 23) == ROWS_F16) return attendSelectedRows<i16>(command, thread);
      if (int(command, 23) == ROWS_BF16) return attendSelectedRows<u16>(command, thread);
      return attendSelectedRows<f32>(command, thread);
    case MERGE_RUNS:
      if (int(command, 21) == ROWS_F16) return mergeRuns<i16>(command);
      if (int(command, 21) == ROWS_BF16) return mergeRuns<u16>(command);
      return mergeRuns<f32>(command);
    default:
      unreachable();
  }
}
