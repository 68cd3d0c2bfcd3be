"""Several processes share a step: one hands out its groups, the others compute them and write their parts.

```
staff.py    how many workers, and where: checked before anything is opened
driver.py   a step done by several workers: what `stage.run` is for one process
foreman.py  hands out groups, merges what workers say, puts another in the place of one that died
worker.py   one worker: opens workspace and networks once, does the groups it is handed
local.py    workers as processes on this machine, one per GPU; process.py is what such a process runs
cluster.py  workers as Ray actors
orders.py   what is said between them
```

A group is planned from the recipe alone and computed as it would be by one process, and a part is written whole
by one rename. So nothing is lost but the groups in flight, whoever dies, and the bytes are the same for any
number of workers, in any order.
"""
