// What a query may go on with: the last clause that is being written, made whole.

const MOST = 50;

/**
 * The whole text with its last clause completed, for each clause that begins as it does.
 * @param {string} text
 * @param {string[]} clauses as the server offers them
 */
export function completions(text, clauses) {
  const at = lastClause(text);
  const [, space, not, begun] = /** @type {RegExpExecArray} */ (
    /^(\s*)(not\s+)?(.*)$/is.exec(text.slice(at))
  );
  const head = `${text.slice(0, at)}${at && !space ? ' ' : space}${not ?? ''}`;
  const typed = begun.toLowerCase();
  return clauses
    .filter((clause) => clause.toLowerCase().startsWith(typed) && clause.length > begun.length)
    .slice(0, MOST)
    .map((clause) => head + clause);
}

/** Where the last clause begins: behind the last comma that no quotes hold. @param {string} text */
function lastClause(text) {
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '"') quoted = !quoted;
    else if (text[i] === ',' && !quoted) start = i + 1;
  }
  return start;
}
