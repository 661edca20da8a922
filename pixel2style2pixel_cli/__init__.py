"""p2s2p: face image-to-image translation in the latent space of StyleGAN2."""

__version__ = "0.1.0"
