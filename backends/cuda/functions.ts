/**
 * What `native/ds.h` declares, without its prefix: a letter for the type of each argument.
 *
 * - `h`: the address of a stream, a mark, a recording or a tensor that is read; 0 where it is absent
 * - `w`: the address of a tensor that is written in part, or read and written
 * - `o`: the address of a tensor that is overwritten wholly, whatever it held
 * - `i`: int32_t
 * - `l`: int64_t
 * - `f`: float
 * - `p`: memory of the host
 */
const PLAIN = {
  open: "ip",
  open_rehearsal: "hp",
  describe: "hp",
  close: "h",
  begin_step: "hippppp",
  record_begin: "h",
  record_end: "hp",
  replay: "hh",
  drop_recording: "hh",
  mark_here: "hp",
  wait: "h",
  drop_mark: "hh",
  milliseconds: "hhp",
  footprint: "iipip",
  alloc: "hiipip",
  free: "hw",
  upload: "hwpll",
  begin_download: "hhllp",
  take_download: "hhp",
  held: "hppp",
} as const;

/** Those that put work on the stream, which comes first, and may be recorded. */
const OPS = {
  clear: "ho",
  embed: "hoh",
  gather_rows: "hohh",
  rms_norm: "hohhf",
  // Where it writes some of the columns only, its caller sees to the others.
  linear: "hohhhl",
  rope: "hwhiihhf",
  swiglu: "hoh",
  add: "hwh",
  argmax: "hoh",
  route_experts: "hoohi",
  linear_experts: "hohhhh",
  append_kv: "hwhiiwhhhw",
  attend: "hohhfl",
  // Scores are written as far as a row attends, indices as far as its count goes.
  score_labels: "hwoohiihhh",
  select_tokens: "hwoohhhhiii",
  score_and_select: "hwoowoohiihiihhh",
  attend_selected: "hohhhhfhhhhhhii",
  fetch_rows: "hwhhh",
} as const;

export type OpName = keyof typeof OPS;
export type FunctionName = keyof typeof PLAIN | OpName;

export const FUNCTIONS: Readonly<Record<FunctionName, string>> = { ...PLAIN, ...OPS };
/** In the order of their numbers on a tape. */
export const OP_NAMES = Object.keys(OPS) as readonly OpName[];
