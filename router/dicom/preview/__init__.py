"""Pictures of images for people, made by a program of few rights. The door to numpy and Pillow."""
