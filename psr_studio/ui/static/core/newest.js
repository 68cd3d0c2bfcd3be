// Something that is asked for more often than it can be done, such as a selection at each pixel of a drag.

/**
 * Runs one at a time and at most once in `leastMs`; of all that is asked for meanwhile the newest is done next. It begins
 * as long after the first asking: a click on a slider is no drag.
 * @template Wanted
 * @param {(wanted: Wanted) => Promise<unknown>} run
 * @param {number} leastMs
 */
export function newestOnly(run, leastMs) {
  /** @type {{ wanted: Wanted } | null} */
  let next = null;
  let busy = false;

  async function work() {
    busy = true;
    await new Promise((later) => setTimeout(later, leastMs)); // what is dropped by then is never begun
    for (let job = take(); job; job = take())
      await Promise.all([run(job.wanted), new Promise((over) => setTimeout(over, leastMs))]);
    busy = false;
  }

  function take() {
    const job = next;
    next = null;
    return job;
  }

  return {
    /** @param {Wanted} wanted */
    ask(wanted) {
      next = { wanted };
      if (!busy) work();
    },
    /** What waits is not wanted any more; what runs goes on. */
    drop() {
      next = null;
    },
  };
}
