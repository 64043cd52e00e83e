// out[r, column + n] ← weight[n]·x[r] (+ bias[n]): a tile of TILE rows of x and TILE rows of weights per workgroup, 32 columns of them
// at a time in workgroup memory. A thread sums 8 rows of x times 4 of weights, in f32.
struct Parameters {
  R: u32,
  I: u32,
  columns: u32, // of out
  column: u32,
  first: u32, // weight row of this binding, of `entries`
  entries: u32,
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
// use weight
// use x_quads
// use dots
// use tile_quad

const SIDE = TILE / 4u;
const ROW_SIDE = TILE / 8u;
const THREADS = ROW_SIDE * SIDE;
const STEP_UNITS = 4u;
const STEP_QUADS = 2u * STEP_UNITS;
// Quad q of row i at q·TILE + i.
var<workgroup> x_tile: array<TileQuad, STEP_QUADS * TILE>;
var<workgroup> weight_tile: array<TileQuad, STEP_QUADS * TILE>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first_n = group.x * TILE;
  let first_row = group.y * TILE;
  let last_n = parameters.entries - 1u;
  let last_row = parameters.R - 1u;
  let all = units(parameters.I);
  let i = thread / SIDE;
  let j = thread % SIDE;
  // An array that a loop indexes would not stay in registers.
  var sum0 = vec4f(0.0);
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  var sum4 = vec4f(0.0);
  var sum5 = vec4f(0.0);
  var sum6 = vec4f(0.0);
  var sum7 = vec4f(0.0);
  for (var first = 0u; first < all; first += STEP_UNITS) {
    workgroupBarrier();
    for (var index = thread; index < STEP_UNITS * TILE; index += THREADS) {
      let unit = index % STEP_UNITS;
      let place = index / STEP_UNITS;
      let u = first + unit;
      var w = Unit();
      var v = Unit();
      if (u < all) {
        w = weight_unit(min(first_n + place, last_n), u);
        let row = min(first_row + place, last_row);
        v = Unit(x_quad(row, first_quad(u)), x_quad(row, first_quad(u) + APART));
      }
      weight_tile[2u * unit * TILE + place] = tile_quad(w.a);
      weight_tile[(2u * unit + 1u) * TILE + place] = tile_quad(w.b);
      x_tile[2u * unit * TILE + place] = tile_quad(v.a * (1.0 / X_UNIT));
      x_tile[(2u * unit + 1u) * TILE + place] = tile_quad(v.b * (1.0 / X_UNIT));
    }
    workgroupBarrier();
    for (var q = 0u; q < STEP_QUADS; q++) {
      let w0 = vec4f(weight_tile[q * TILE + j]);
      let w1 = vec4f(weight_tile[q * TILE + j + SIDE]);
      let w2 = vec4f(weight_tile[q * TILE + j + 2u * SIDE]);
      let w3 = vec4f(weight_tile[q * TILE + j + 3u * SIDE]);
      sum0 += dots(vec4f(x_tile[q * TILE + i]), w0, w1, w2, w3);
      sum1 += dots(vec4f(x_tile[q * TILE + i + ROW_SIDE]), w0, w1, w2, w3);
      sum2 += dots(vec4f(x_tile[q * TILE + i + 2u * ROW_SIDE]), w0, w1, w2, w3);
      sum3 += dots(vec4f(x_tile[q * TILE + i + 3u * ROW_SIDE]), w0, w1, w2, w3);
      sum4 += dots(vec4f(x_tile[q * TILE + i + 4u * ROW_SIDE]), w0, w1, w2, w3);
      sum5 += dots(vec4f(x_tile[q * TILE + i + 5u * ROW_SIDE]), w0, w1, w2, w3);
      sum6 += dots(vec4f(x_tile[q * TILE + i + 6u * ROW_SIDE]), w0, w1, w2, w3);
      sum7 += dots(vec4f(x_tile[q * TILE + i + 7u * ROW_SIDE]), w0, w1, w2, w3);
    }
  }
  var sums = array<vec4f, 8>(sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7);
  for (var r = 0u; r < 8u; r++) {
    let row = first_row + i + r * ROW_SIDE;
    for (var c = 0u; c < 4u; c++) {
      let place = first_n + j + c * SIDE;
      if (row <= last_row && place <= last_n) {
        let n = parameters.first + place;
        let value = select(0.0, bias[n], HAS_BIAS) + sums[r][c] * X_UNIT;
        out[row * parameters.columns + parameters.column + n] = value;
      }
    }
  }
}
