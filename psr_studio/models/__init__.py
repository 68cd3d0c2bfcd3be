"""The networks: generator, codec, teacher and students. The only package that imports diffusers and timm."""
