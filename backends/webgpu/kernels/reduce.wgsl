// Sums and maxima over a workgroup of THREADS threads. Every thread of the workgroup must call, and gets the result.
var<workgroup> reduced: array<f32, THREADS>;

fn workgroup_sum(value: f32, thread: u32) -> f32 {
  workgroupBarrier();
  reduced[thread] = value;
  workgroupBarrier();
  for (var step = THREADS / 2u; step > 0u; step /= 2u) {
    if (thread < step) {
      reduced[thread] += reduced[thread + step];
    }
    workgroupBarrier();
  }
  return reduced[0];
}

fn workgroup_max(value: f32, thread: u32) -> f32 {
  workgroupBarrier();
  reduced[thread] = value;
  workgroupBarrier();
  for (var step = THREADS / 2u; step > 0u; step /= 2u) {
    if (thread < step) {
      reduced[thread] = max(reduced[thread], reduced[thread + step]);
    }
    workgroupBarrier();
  }
  return reduced[0];
}
