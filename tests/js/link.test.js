import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromRanges, linkText, toRanges } from '../../psr_studio/ui/static/core/link.js';
import { always } from './random.js';

test('positions come back from their ranges, however dense they are', () => {
  always((random) => {
    const positions = random.some(random.integer(0, 300), random.next());
    assert.deepEqual(fromRanges(toRanges(positions)), positions);
  });
});

test('too many ranges are left out, so that a link stays a link', () => {
  const odd = Array.from({ length: 1000 }, (_, i) => 2 * i + 1);
  assert.equal(toRanges(odd.slice(0, 200)).split(',').length, 200);
  assert.equal(toRanges(odd), '');
});

test('a text of another form names no position, and a huge range ends', () => {
  for (const text of [null, '', '3-', '-3', '1,,2', 'a', '1-2-3', ' 1'])
    assert.deepEqual(fromRanges(text), []);
  assert.ok(fromRanges('0-99999999999').length <= 1e6);
});

test('what is written is read again, in one order, beside what others wrote', () => {
  const values = {
    focus: 7,
    selection: 'a, b & "c"',
    marked: '3-9,20',
    view: '0.5,-1,200',
    find: 'difficulty > 0.5, not tag "a & b"',
    class: 0,
    compare: null,
  };
  const text = linkText(new URLSearchParams('focus=1&tab=curate&compare=x'), values);
  const read = new URLSearchParams(text);
  for (const [key, value] of Object.entries(values))
    assert.equal(read.get(key), value === null ? null : `${value}`);
  assert.deepEqual([...read.keys()], ['tab', 'selection', 'focus', 'class', 'view', 'marked', 'find']);
  const turned = Object.fromEntries(Object.entries(values).reverse());
  assert.equal(linkText(new URLSearchParams(text), turned), text);
  assert.ok(text.includes('marked=3-9,20'), 'commas stay readable');
});
