"""verl on a machine without an accelerator, through verl's and vLLM's own plugin entry points (see setup.cfg).

| file        | what it gives verl                                                              |
|-------------|---------------------------------------------------------------------------------|
| platform.py | the platform `cpu`: device names, memory figures, gloo                          |
| fsdp.py     | the FSDP engines for device `cpu`, loaded by `model.external_lib`               |
| patches.py  | what no extension point reaches; each names the line it mends and its version   |
"""
