"""From a network's tensors to an ONNX file. Knows numbers and operators; nothing of folders or texts."""
