/** The results as JUnit XML, which CI systems read: a suite, and a test case for each case. */
import type { CaseResult } from './run.ts';

export function junitXml(
  results: readonly CaseResult[],
  facts: { readonly seconds: number; readonly at: Date },
): string {
  const count = (status: CaseResult['status']): number => results.filter((result) => result.status === status).length;
  const attributes = attributesOf({
    name: 'sluice connectivity test',
    tests: results.length,
    failures: count('failed'),
    errors: 0,
    skipped: count('not-run'),
    time: facts.seconds.toFixed(3),
    timestamp: facts.at.toISOString().replace(/\.\d+Z$/, ''),
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite${attributes}>`,
    ...results.map(testCase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testCase(result: CaseResult): string {
  const [group = '', ...rest] = result.name.split('/');
  const time = result.status === 'not-run' ? '0' : (result.ms / 1000).toFixed(3);
  const attributes = attributesOf({ classname: group, name: rest.join('/') || group, time });
  const inside = insideOf(result);
  return inside === '' ? `    <testcase${attributes}/>` : `    <testcase${attributes}>${inside}</testcase>`;
}

function insideOf(result: CaseResult): string {
  if (result.status === 'passed') return '';
  if (result.status === 'not-run') return `<skipped${attributesOf({ message: result.why })}/>`;
  const { from, command, wanted, came, hint } = result.failure;
  const story = `${result.summary}\nran in ${from}: ${command}\nwanted: ${wanted}\ncame: ${came}\nnext: ${hint}`;
  return `<failure${attributesOf({ message: came })}>${escaped(story)}</failure>`;
}

function attributesOf(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replaceAll('"', '&quot;').replaceAll('\n', '&#10;')}"`)
    .join('');
}

/** Control characters are not allowed in XML at all, not even escaped. */
function escaped(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
