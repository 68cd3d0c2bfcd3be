// The little of Node that the tests call; its whole types would change those of the browser's timers.

declare module 'node:test' {
  export function test(name: string, run: () => void): void;
}

declare module 'node:assert/strict' {
  interface Assert {
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    ok(value: unknown, message?: string): asserts value;
    throws(run: () => unknown, error?: RegExp): void;
  }
  const assert: Assert;
  export default assert;
}
