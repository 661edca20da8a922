"""Code and picture of an aligned face, by an exported model: python run_onnx.py model.onnx face.png out.png"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

model, face, out = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=onnxruntime.get_available_providers())
about = session.get_modelmeta().custom_metadata_map
facts, average = json.loads(about["p2s2p"]), np.array(json.loads(about["latent_avg"]), np.float32)
side = facts["spec"]["encoder"]["input_size"]
pixels = Image.open(face).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
picture = np.asarray(pixels, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1  # (1, 3, S, S) in [-1, 1]
codes, image = session.run(None, {"picture": picture})
drawn = np.clip((image[0].transpose(1, 2, 0) + 1) * 127.5, 0, 255).astype(np.uint8)
Image.fromarray(drawn).save(out)
print(facts["name"], facts["licence"]["id"], codes.shape, abs(codes - average).mean())
