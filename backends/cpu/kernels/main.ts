import { attentionOp } from "./attention_ops";
import { blockOp } from "./block_ops";
import { plainOp } from "./plain_ops";
import {
  ALONE,
  ARRIVED,
  COMMAND_SHIFT,
  FAILED,
  FIRST_ATTENTION_OP,
  FIRST_BLOCK_OP,
  FIRST_SPARSE_OP,
  FIRST_WIDE_OP,
} from "./ops";
import { sparseOp } from "./sparse_ops";
import { wideOp } from "./wide_ops";

/**
 * Runs a list of commands with every other thread, all of them together at one command at a time; runs of ALONE commands are
 * the first thread's.
 *
 * @param arrived what the count at ARRIVED stood at when the list was handed over
 * @returns what it stands at when all are done
 */
export function run(list: usize, count: i32, thread: i32, threads: i32, arrived: i32): i32 {
  const end = list + (<usize> count << COMMAND_SHIFT);
  let isAlone = false;
  for (let command = list; command < end; command += 1 << COMMAND_SHIFT) {
    const word = load<i32>(command);
    const wasAlone = isAlone;
    isAlone = (word & ALONE) != 0;
    // Nobody reads what others have not written: a meeting lies before and after all shared work.
    if (threads > 1 && command != list && !(wasAlone && isAlone)) meet(arrived += threads);
    if (isAlone && thread != 0) continue;
    const op = word & (ALONE - 1);
    if (op < FIRST_BLOCK_OP) plainOp(op, command);
    else if (op < FIRST_WIDE_OP) blockOp(op, command, thread);
    else if (op < FIRST_ATTENTION_OP) wideOp(op, command, thread);
    else if (op < FIRST_SPARSE_OP) attentionOp(op, command, thread);
    else sparseOp(op, command, thread);
  }
  if (threads > 1) meet(arrived += threads);
  return arrived;
}

/** Turns of plain spinning, some 200 microseconds: several naps, or threads that nap in turn would keep each other napping. */
const SPINS = 200000;

/** Waits until every thread has arrived; sleeps in short naps where one is not running. */
function meet(all: i32): void {
  atomic.add<i32>(ARRIVED, 1);
  let spins = 0;
  while (true) {
    const seen = atomic.load<i32>(ARRIVED);
    if (seen - all >= 0) return;
    if (++spins < SPINS) continue;
    if (atomic.load<i32>(FAILED) != 0) unreachable();
    memory.atomic.wait32(ARRIVED, seen, 20_000);
  }
}
