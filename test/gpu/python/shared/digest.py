"""What the Python programs share: hashes of arrays and a PyTorch made deterministic."""
import hashlib
import os


def digest(array):
    """The SHA-256, shortened, of a tensor or of anything NumPy can take, with its shape and type."""
    if hasattr(array, "detach"):
        import torch
        array = array.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    else:
        import numpy
        array = numpy.ascontiguousarray(array)
    return hashlib.sha256(array.tobytes()).hexdigest()[:20]


def report(name, array):
    print(f"{name:32} {digest(array)} {tuple(array.shape)}", flush=True)


def report_model(name, model):
    state = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        state.update(key.encode() + digest(value).encode())
    print(f"{name:32} {state.hexdigest()[:20]}", flush=True)


def deterministic_torch():
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    import torch
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.manual_seed(0)
    return torch
