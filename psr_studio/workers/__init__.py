"""Several processes share a step: one assigns its groups, the others compute them and write their parts.

```
request.py      how many workers, and where: checked before anything is opened
driver.py       a step done by several workers: what `stage.run` is for one process
dispatcher.py   assigns groups, merges the messages, puts another worker in the place of one that died
worker.py       one worker: opens workspace and networks once, does the groups that are assigned to it
local.py        workers as processes on this machine, one per GPU; process.py is what such a process runs
ray_cluster.py  workers as Ray actors
messages.py     what is sent between them
```

A group is planned from the recipe alone and computed as it would be by one process, and a part is written whole
by one rename. So nothing is lost but the groups in flight, whoever dies, and the bytes are the same for any
number of workers, in any order.
"""
