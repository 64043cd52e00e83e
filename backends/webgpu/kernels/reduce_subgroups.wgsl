// As reduce.wgsl, by subgroups of any size: that of a thread is asked of the device, as it may differ from kernel to kernel.
var<workgroup> reduced: array<f32, THREADS>;

fn workgroup_sum(value: f32, thread: u32) -> f32 {
  let lanes = subgroupAdd(1u);
  let part = subgroupAdd(value);
  workgroupBarrier();
  if (subgroupElect()) {
    reduced[thread / lanes] = part;
  }
  workgroupBarrier();
  var sum = reduced[0];
  for (var i = 1u; i < THREADS / lanes; i++) {
    sum += reduced[i];
  }
  return sum;
}

fn workgroup_max(value: f32, thread: u32) -> f32 {
  let lanes = subgroupAdd(1u);
  let part = subgroupMax(value);
  workgroupBarrier();
  if (subgroupElect()) {
    reduced[thread / lanes] = part;
  }
  workgroupBarrier();
  var largest = reduced[0];
  for (var i = 1u; i < THREADS / lanes; i++) {
    largest = max(largest, reduced[i]);
  }
  return largest;
}
