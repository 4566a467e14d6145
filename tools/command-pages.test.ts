import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandPages } from './command-pages.ts';

const pages = commandPages();

test('every command has a page, and the index leads to each', () => {
  for (const name of ['status', 'doctor', 'explain', 'monitor', 'service', 'lab', 'version'])
    assert.ok(pages.has(`${name}.md`), name);
  const index = pages.get('README.md') ?? '';
  for (const [, page = ''] of index.matchAll(/\]\(([a-z-]+\.md)/g)) assert.ok(pages.has(page), page);
  assert.match(index, /\[`sluice lab node kill`\]\(lab\.md#sluice-lab-node-kill\)/);
});

test('a page has what the help has: usage, options, and the examples once', () => {
  const page = pages.get('explain.md') ?? '';
  assert.match(page, /^ {4}sluice explain connect \[options\] <pod> <host:port>$/m);
  assert.match(page, /^\| `--past-hooks` \| as a program sends/m);
  assert.equal(page.split('sluice explain connect host kube-dns').length, 2);
});

test('each command gives examples', () => {
  for (const [name, text] of pages) assert.match(text, /^(Examples|Begin with):$/m, name);
});

test('no bar of an option ends a cell of its table', () => {
  for (const [name, text] of pages) {
    for (const row of text.split('\n').filter((line) => line.startsWith('| `-'))) {
      assert.equal(row.split(/(?<!\\)\|/).length, 4, `${name}: ${row}`);
    }
  }
});
