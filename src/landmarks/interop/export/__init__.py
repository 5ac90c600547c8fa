"""Our models out: one safetensors file, ONNX, or a program of torch.export."""
