"""Prompts: one row's cells -> the conversation that is sent. Templates and columns are checked before the first row.

render     the seam, wiring the rest                 template   Jinja2 over the columns
sandbox    what a template may do and print          nulls      missing values inside a template
messages   a column with a whole conversation        images     a cell -> images, by their own magic
files      image files, never outside their folder   slices     what lies in archives and folders
names      column names in messages to people   blocks     pictures in a conversation's own blocks
folders    the folder that cells name files in  remote_files   the same in an object store
sparing    pictures of a store for a page
"""

from pipeline.prompts.render import PromptSettings, Renderer, build_render
from pipeline.prompts.slices import SliceReader

__all__ = ["PromptSettings", "Renderer", "SliceReader", "build_render"]
