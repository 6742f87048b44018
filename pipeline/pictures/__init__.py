"""Pictures made fit to be sent: never decoded in this process, but in others that may crash, hang or run out of memory.

workers   the processes, from the side of the run       worker   one such process
shrink    what is done to a picture                      wanted   what it is to become

What the worker imports stays small: it starts when the first picture needs it, and knows Pillow and nothing of the run.
"""
