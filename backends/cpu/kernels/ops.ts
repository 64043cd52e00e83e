/**
 * Numbers that the kernels and the code that calls them share. Read as AssemblyScript and as TypeScript, so it holds plain
 * constants only.
 *
 * A command is 128 bytes: word 0 the op and ALONE, word 1 the next unit of work to claim, then the op's arguments in the order its
 * kernel documents, one word each.
 */

export const COMMAND_SHIFT = 7;
export const ARGUMENTS = 8;
/** Added to an op that one thread does by itself, as there is too little work to share: commands of this kind that follow each
 * other need no barrier between them. */
export const ALONE = 256;

/** First addresses of a memory, one cache line each: how many times threads arrived at a barrier, and whether one failed. */
export const ARRIVED = 64;
export const FAILED = 128;
/**
 * Words that kernels splat from memory: 0x0f0f0f0f, 0x8fffe000, F16_SCALE as f32. V8 builds a constant vector anew at every
 * use, by three instructions; one that was loaded stays in a register.
 */
export const NIBBLES_MASK = 640;
export const F16_MASK = 644;
export const F16_FACTOR = 648;
/** f32 [12, 4] and f32 [8, 4]: constants of `exp.ts`; u32 [2, 4]: masks of `half.ts`; each in all four lanes. */
export const EXP_CONSTANTS = 192;
export const POWER_CONSTANTS = 384;
export const HALF_MASKS = 512;
/** f32 [7]: constants of `decay.ts`; u32: 0x03030303, 0x0c0c0c0c, 0x00010001. To be splat, like those above. */
export const DECAY_CONSTANTS = 704;
export const LOW_FIELDS_MASK = 736;
export const HIGH_FIELDS_MASK = 740;
export const PAIR_ONES = 744;
/** u32 [256]: the importance table (METHOD.md). */
export const IMPORTANCE = 1024;
/** u8 [256, 8]: entry m lists which of the bits 0 to 7 of m are set, ascending; the rest is 0. */
export const SET_BITS = 2048;
/** What lies before is fixed. */
export const FIRST_FREE = 4096;

// Plain ops: 0 to 31.
export const EMBED = 0;
export const GATHER_ROWS = 1;
export const RMS_NORM = 2;
export const ROPE = 3;
export const SWIGLU = 4;
export const ADD = 5;
export const ARGMAX = 6;
export const ROUTE_EXPERTS = 7;

// Weights in blocks of 32 values, and the activations they meet: 32 to 63.
export const FIRST_BLOCK_OP = 32;
export const QUANTISE_ROWS = 32;
export const PACK_BLOCKS = 33;
export const MULTIPLY_VECTOR = 34;
export const MULTIPLY_MATRIX = 35;
export const PROBE_DOT = 36;
export const QUANTISE_VECTOR = 37;
export const ADD_RESIDUALS = 38;

/** Tokens that the matrix-matrix kernels take at once, and the bytes of scratch a thread needs for them. */
export const TOKENS = 64;
export const TOKENS_SCRATCH = 5120;
/** Bytes that QUANTISE_VECTOR and ADD_RESIDUALS work in, per thread. */
export const RESIDUAL_ROOM = 192;

/** How nibbles meet activations: in i16 products, with the relaxed i16 dot, with the relaxed i32 dot. */
export const DOT_PLAIN = 0;
export const DOT_RELAXED_16 = 1;
export const DOT_RELAXED_32 = 2;

/** Bytes of a tile of 8 rows and 32 columns: f16 scales, f16 minima where there are any, codes. */
export const TILE_Q4_0 = 144;
export const TILE_Q4_1 = 160;
export const TILE_Q8_0 = 272;

/** Weight types as a kernel is told of them. */
export const F32 = 0;
export const F16 = 1;
export const BF16 = 2;
export const Q4_0 = 3;
export const Q4_1 = 4;
export const Q8_0 = 5;
export const Q4_K = 6;
export const Q6_K = 7;

// Weights in blocks of 256 values, and float weights: 64 to 95.
export const FIRST_WIDE_OP = 64;
export const LAY_OUT_ROWS = 64;
export const FLOAT_ROWS = 65;
export const FLOAT_TILES = 66;
export const PACK_WIDE = 67;
export const WIDE_ROWS = 68;
export const WIDE_TILES = 69;
export const MIX_EXPERTS = 70;
/** Float weight rows of one unit of FLOAT_TILES, and columns it takes in one go: x of 64 rows then fits a core's own cache. */
export const FLOAT_TILE_ROWS = 16;
export const FLOAT_TILE_COLUMNS = 1024;
/** Weights in blocks of 256 are held in tiles of so many rows by 256 columns, of so many bytes. */
export const WIDE_TILE_ROWS = 8;
export const Q4_K_TILE_BYTES = 1184;
export const Q6_K_TILE_BYTES = 1680;

// Attention: 96 to 127.
export const FIRST_ATTENTION_OP = 96;
export const APPEND_KV = 96;
export const SUM_VALUES = 97;
export const FETCH_ROWS = 98;
export const ATTEND_ROWS = 100;
export const MERGE_SPLITS = 101;
export const ATTEND_RUN = 102;

/** Tokens of a row that one unit of work attends to; a row's result depends on it. */
export const SPLIT_TOKENS = 512;
/** Tokens of a block that the rows of a run share. */
export const TILE_TOKENS = 64;
/** Types of cached values. */
export const KV_F32 = 0;
export const KV_F16 = 1;
export const KV_BF16 = 2;

// Selection and what follows it: 128 to 159.
export const FIRST_SPARSE_OP = 128;
export const QUANTISE_QUERIES = 128;
export const SCORE_LABELS = 129;
export const WEIGH_TOKENS = 130;
export const GUESS_THRESHOLDS = 131;
export const COLLECT_CANDIDATES = 132;
export const FINISH_SELECTION = 133;
export const MEASURE_TAILS = 134;
export const ATTEND_SELECTED = 135;
export const MERGE_RUNS = 136;

/** Tokens per unit of work of SCORE_LABELS. */
export const SCORE_CHUNK = 1024;
/** Tokens per unit of work of WEIGH_TOKENS and COLLECT_CANDIDATES: a multiple of 8. */
export const SELECT_CHUNK = 1024;
/** Bytes that selection counts in, per thread: 10,240 fine and 64 coarse bins. */
export const SELECT_BINS = 41216;
/** Selected tokens per unit of work of ATTEND_SELECTED: a multiple of 64. */
export const SELECTED_RUN = 256;
/** Bytes that ATTEND_SELECTED works in, per thread, besides its queries. */
export const ATTEND_ROOM = 2048;
/** Types of the rows that ATTEND_SELECTED and MERGE_RUNS read. */
export const ROWS_F32 = 0;
export const ROWS_F16 = 1;
export const ROWS_BF16 = 2;
