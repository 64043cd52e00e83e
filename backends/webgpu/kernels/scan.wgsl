// Sums of the values of the threads before each, over a workgroup of THREADS threads. Every thread of the workgroup must call.
var<workgroup> scanned: array<u32, 2u * THREADS>;

fn sum_before(value: u32, thread: u32) -> u32 {
  workgroupBarrier();
  scanned[thread] = value;
  var side = 0u;
  for (var step = 1u; step < THREADS; step *= 2u) {
    workgroupBarrier();
    var sum = scanned[side + thread];
    if (thread >= step) {
      sum += scanned[side + thread - step];
    }
    side = THREADS - side;
    scanned[side + thread] = sum;
  }
  return scanned[side + thread] - value;
}
