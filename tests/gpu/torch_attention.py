"""Times torch's scaled_dot_product_attention, by each of its backends, on the shapes given as JSON on standard input.

In:  {"samples": n, "shapes": [{"heads", "kvHeads", "headDim", "batch", "context", "tensors": PREFIX or null}]}
Out: {"device", "torch", "copyGigabytesPerSecond", "rows": [{"heads", ..., "backend", "medianUs" or null, "reason", "error"}]}

One query per sequence, f16. K and V of several copies are gone through in turn, so that no cache holds them; each sample is the replay
of a CUDA graph of all copies, timed by events. `tensors` is the start of the names of query.f32, kv.f16 and out.f32, as ds had
them: then those are what is timed, and `error` is the largest difference from ds's output over the largest value.
"""
import json
import statistics
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
# Several times any L2.
WORKING_SET = 512 << 20


def graph_of(run):
    """`run` as a CUDA graph, warmed up on the side stream that capturing asks for."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph


def median_us(graph, samples, repeats):
    times = []
    for _ in range(3):
        graph.replay()
    for _ in range(samples):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1000 / repeats)
    return statistics.median(times)


def copy_bandwidth(samples):
    source = torch.ones(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    us = median_us(graph_of(lambda: target.copy_(source)), samples, 1)
    return 2 * source.numel() / us / 1000


def tensors_of(shape):
    """query [B, Hq, 1, d], keys and values [B, Hk, N, d], and what ds made of them or None."""
    batch, kv_heads, context, dim = shape["batch"], shape["kvHeads"], shape["context"], shape["headDim"]
    if shape.get("tensors") is None:
        draw = lambda *size: torch.randn(size, dtype=torch.float16, device="cuda")
        return draw(batch, shape["heads"], 1, dim), draw(batch, kv_heads, context, dim), draw(batch, kv_heads, context, dim), None
    load = lambda name, kind, *size: torch.from_numpy(np.fromfile(shape["tensors"] + name, dtype=kind).reshape(size)).cuda()
    query = load("query.f32", np.float32, batch, shape["heads"], 1, dim).half()
    rows = load("kv.f16", np.float16, batch, kv_heads, context, 2, dim)
    keys, values = (rows[:, :, :, part].contiguous() for part in range(2))
    return query, keys, values, load("out.f32", np.float32, batch, shape["heads"], 1, dim)


def measure(shape, samples):
    query, keys, values, wanted = tensors_of(shape)
    copies = max(1, min(64, -(-WORKING_SET // (2 * keys.numel() * 2))))
    held = [(keys, values)] + [(keys.clone(), values.clone()) for _ in range(copies - 1)]
    grouped = shape["heads"] != shape["kvHeads"]
    for name, backend in BACKENDS.items():
        row = {key: shape[key] for key in ("heads", "kvHeads", "headDim", "batch", "context")} | {"backend": f"torch {name}"}
        try:
            with sdpa_kernel(backend):
                attend = lambda k, v: F.scaled_dot_product_attention(query, k, v, enable_gqa=grouped)
                graph = graph_of(lambda: [attend(k, v) for k, v in held])
                row["medianUs"] = median_us(graph, samples, copies)
                if wanted is not None:
                    found = attend(keys, values).float()
                    row["error"] = ((found - wanted).abs().max() / wanted.abs().max()).item()
        except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
            row["medianUs"] = None
            row["reason"] = str(error).splitlines()[0][:200]
        yield row


def main():
    request = json.load(sys.stdin)
    rows = [row for shape in request["shapes"] for row in measure(shape, request["samples"])]
    json.dump(
        {
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "copyGigabytesPerSecond": copy_bandwidth(request["samples"]),
            "rows": rows,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
